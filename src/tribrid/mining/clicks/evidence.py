"""From one list to what users said by their acts. Clicks are evidence, not labels; ratings outrank clicks.

What a user did with a document speaks for or against it. How far down he looked is told by the lowest document he
used: what stood above it and was left alone was passed over, and so, less surely, were the next few below. What that
is worth is for the click model to say, which knows how likely each rank is to be looked at.

References:
    Joachims et al.: Accurately interpreting clickthrough data as implicit feedback, SIGIR 2005 (skip above, no-click
    next). Fox et al.: Evaluating implicit measures to improve web search, TOIS 2005 (30 s of dwell as satisfaction).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tribrid.types import Feedback, LoggedList, Signal

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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one list is evidence of.

    Attributes:
        opinions: doc_id → opinion, for every document the user did something with.
        lowest: rank of the lowest document he used, 0 where he used none.
    """

    opinions: dict[str, Opinion]
    lowest: int

    @property
    def satisfied(self) -> bool:
        """Whether he found something that he did not leave again at once."""
        return any(opinion.strength > STRENGTHS[SHORT_CLICK] for opinion in self.opinions.values())


NOTHING = Evidence({}, 0)


def evidence(logged: LoggedList) -> Evidence:
    """Reads one list. Feedback on the whole of it (no doc_id) says nothing of a single document."""
    if not logged.feedback:
        return NOTHING
    opinions = _opinions(logged.feedback, logged.doc_ids)
    used = [logged.ranks[logged.doc_ids.index(doc_id)] for doc_id, found in opinions.items() if found.strength > 0]
    return Evidence(opinions, max(used, default=0))


def _opinions(feedback: Sequence[Feedback], shown: Collection[str]) -> dict[str, Opinion]:
    if len(feedback) == 1:
        return _of_document(feedback, feedback[0].doc_id, shown)
    acts: defaultdict[str | None, list[Feedback]] = defaultdict(list)
    for item in feedback:
        acts[item.doc_id].append(item)
    opinions: dict[str, Opinion] = {}
    for doc_id, items in acts.items():
        opinions.update(_of_document(items, doc_id, shown))
    return opinions


def _of_document(items: Sequence[Feedback], doc_id: str | None, shown: Collection[str]) -> dict[str, Opinion]:
    if doc_id is None or doc_id not in shown:
        return {}
    return {doc_id: _explicit(items) or _implicit(items)}


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
