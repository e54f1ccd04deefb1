"""What a user's acts with one document say of it: read here once, for mining and for experiments on live searches.

A thumb or a rating outranks whatever else he did, and the last one in time holds: people change their minds, and rows
come in any order. Without one the strongest act counts. A click counts in full until the document's longest dwell is
known and short: one long stay makes up for a look that was left at once. A dwell that is not known to be long, and
without a click, says nothing.

Mining asks how strong the evidence is (`Opinion.strength`, for the click model); an experiment asks whether the
document was used (`Opinion.use`), so that no single act of one user outweighs another's.

References:
    Fox et al.: Evaluating implicit measures to improve web search, TOIS 2005 (30 s of dwell as satisfaction).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tribrid.types import Feedback, Signal

SATISFIED_DWELL_S = 30.0
GOOD_RATING, BAD_RATING = 4.0, 2.0

SHORT_CLICK = "short click"
OPENED = "opened"
STRENGTHS: dict[str, float] = {
    Signal.CLICK: 1.0,
    SHORT_CLICK: 0.5,
    Signal.DWELL: 1.2,
    Signal.COPY: 1.2,
    Signal.CITE: 1.4,
    OPENED: 0.0,
}
"""What one implicit act counts as, in clicks. A click alone tells of its title and snippet; reading, copying and
citing tell of its text; a click left again within 30 s tells of little."""
ACTS = tuple(STRENGTHS)
THUMB = 0.9


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one user's acts say of one document.

    `strength` is in clicks, 0 or more; or, where he said it in so many words (`explicit`), -1..1.
    """

    strength: float
    explicit: bool
    act: str
    at_us: int = 0

    @property
    def use(self) -> float:
        """What it was worth in documents used: 1 used, 0.5 left again at once, 0 not used; -1 to 1 by the sign alone
        where he said it himself.
        """
        if self.explicit:
            return float((self.strength > 0) - (self.strength < 0))
        return min(1.0, self.strength)


def opinion(items: Sequence[Feedback]) -> Opinion:
    """What one user's acts with one document say of it; at least one act."""
    return _explicit(items) or _implicit(items)


def _explicit(items: Iterable[Feedback]) -> Opinion | None:
    """The user's last word in thumbs or ratings; None when he gave none."""
    last: Opinion | None = None
    for item in items:
        opinion = _stated(item)
        if opinion is not None and (last is None or item.created_us >= last.at_us):
            last = opinion
    return last


def _stated(item: Feedback) -> Opinion | None:
    if item.signal is Signal.CLICK:  # nine in ten
        return None
    if item.signal is Signal.THUMBS_UP:
        return Opinion(THUMB, True, "thumbs up", item.created_us)
    if item.signal is Signal.THUMBS_DOWN:
        return Opinion(-THUMB, True, "thumbs down", item.created_us)
    if item.signal is not Signal.RATING or item.value is None:
        return None
    strength = 0.0
    if item.value >= GOOD_RATING:
        strength = min(1.0, item.value / 5)
    elif item.value <= BAD_RATING:
        strength = -min(1.0, (6 - item.value) / 5)
    return Opinion(strength, True, f"rated {item.value:g}", item.created_us)


def _implicit(items: Sequence[Feedback]) -> Opinion:
    """The strongest implicit act. A click counts in full until a dwell shows that it was left soon."""
    dwells = [item.value for item in items if item.signal is Signal.DWELL and item.value is not None]
    stayed = max(dwells, default=None)
    best = OPENED
    for item in items:
        act: str = item.signal
        if item.signal is Signal.CLICK and stayed is not None and stayed < SATISFIED_DWELL_S:
            act = SHORT_CLICK
        elif item.signal is Signal.DWELL and (item.value is None or item.value < SATISFIED_DWELL_S):
            continue
        if STRENGTHS.get(act, 0.0) > STRENGTHS[best]:
            best = act
    return Opinion(STRENGTHS[best], False, best, max(item.created_us for item in items))
