"""From one impression to what it is evidence of. Clicks are evidence, not labels; ratings outrank clicks.

What a user did with a document speaks for or against it. A document that stood above one he used, and that he
left alone, was passed over; so, less surely, were the next few below it. Everything further down, and everything
in a list where he used nothing, was perhaps never looked at: unknown, and never a negative.

A click model (examination by position) would replace the certainties here and leave the rest as it is.

References:
    Joachims et al.: Accurately interpreting clickthrough data as implicit feedback, SIGIR 2005 (skip above, no-click
    next). Fox et al.: Evaluating implicit measures to improve web search, TOIS 2005 (30 s of dwell as satisfaction).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tribrid.types import Feedback, Impression, Signal

SATISFIED_DWELL_S = 30.0
GOOD_RATING, BAD_RATING = 4.0, 2.0

ABOVE, BELOW = "skipped_above", "next_not_clicked"
CERTAINTY = {ABOVE: 0.8, BELOW: 0.6}
"""How sure an examined document that was left alone is worse than the one used: who used a lower result has most
likely read what is above it; that he also read the next below is the weaker guess."""

SHORT_CLICK = "short click"
STRENGTHS: dict[str, float] = {
    Signal.CITE: 0.7,
    Signal.COPY: 0.6,
    Signal.DWELL: 0.6,
    Signal.CLICK: 0.5,
    SHORT_CLICK: 0.25,
}
"""How much one implicit act speaks for a document, 0..1. A click alone tells of its title and snippet; reading,
copying and citing tell of its text; a click left again within 30 s tells of little."""
THUMB = 0.9


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one user's acts say of one document: `strength` -1..1; explicit when he said so in so many words."""

    strength: float
    explicit: bool
    act: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one impression is evidence of.

    Attributes:
        opinions: doc_id → opinion, for every document the user did something with.
        passed_over: doc_id → ABOVE or BELOW: examined, left alone, where another was used.
        unknown: shown and perhaps never looked at.
    """

    query_id: str
    query: str
    opinions: dict[str, Opinion] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    @property
    def liked(self) -> list[str]:
        return [doc_id for doc_id, opinion in self.opinions.items() if opinion.strength > 0]


def evidence(impression: Impression, feedback: Sequence[Feedback], *, examined_below_click: int) -> Evidence:
    """Reads one impression. Feedback on the whole list (no doc_id) says nothing of a single document.

    Args:
        examined_below_click: ranks below the lowest document used that still count as examined.
    """
    rank_of: dict[str, int] = {}
    for shown in impression.shown:
        rank_of[shown.doc_id] = min(shown.rank, rank_of.get(shown.doc_id, shown.rank))
    opinions = _opinions(item for item in feedback if item.doc_id in rank_of)
    used = [rank_of[doc_id] for doc_id, opinion in opinions.items() if opinion.strength > 0]
    if not used:
        return Evidence(
            impression.query_id, impression.query, opinions, {}, frozenset(rank_of.keys() - opinions.keys())
        )
    lowest = max(used)
    passed_over: dict[str, str] = {}
    for doc_id, rank in rank_of.items():
        if doc_id not in opinions and rank <= lowest + examined_below_click:
            passed_over[doc_id] = ABOVE if rank < lowest else BELOW
    unknown = frozenset(rank_of.keys() - opinions.keys() - passed_over.keys())
    return Evidence(impression.query_id, impression.query, opinions, passed_over, unknown)


def _opinions(feedback: Iterable[Feedback]) -> dict[str, Opinion]:
    acts: defaultdict[str, list[Feedback]] = defaultdict(list)
    for item in feedback:
        if item.doc_id is not None:
            acts[item.doc_id].append(item)
    return {doc_id: _explicit(items) or _implicit(items) for doc_id, items in acts.items()}


def _explicit(items: Sequence[Feedback]) -> Opinion | None:
    """The user's last word in thumbs or ratings; None when he gave none."""
    last: tuple[int, Opinion] | None = None
    for item in items:
        opinion = _stated(item)
        if opinion is not None and (last is None or item.created_us >= last[0]):
            last = (item.created_us, opinion)
    return last[1] if last else None


def _stated(item: Feedback) -> Opinion | None:
    if item.signal is Signal.THUMBS_UP:
        return Opinion(THUMB, True, "thumbs up")
    if item.signal is Signal.THUMBS_DOWN:
        return Opinion(-THUMB, True, "thumbs down")
    if item.signal is not Signal.RATING or item.value is None:
        return None
    act = f"rated {item.value:g}"
    if item.value >= GOOD_RATING:
        return Opinion(min(1.0, item.value / 5), True, act)
    if item.value <= BAD_RATING:
        return Opinion(-min(1.0, (6 - item.value) / 5), True, act)
    return Opinion(0.0, True, act)


def _implicit(items: Sequence[Feedback]) -> Opinion:
    """The strongest implicit act. A click counts in full until a dwell shows that it was left soon."""
    dwells = [item.value for item in items if item.signal is Signal.DWELL and item.value is not None]
    stayed = max(dwells, default=None)
    best = Opinion(0.0, False, "opened")
    for item in items:
        act: str = item.signal
        if item.signal is Signal.CLICK and stayed is not None and stayed < SATISFIED_DWELL_S:
            act = SHORT_CLICK
        elif item.signal is Signal.DWELL and (item.value is None or item.value < SATISFIED_DWELL_S):
            continue
        strength = STRENGTHS.get(act, 0.0)
        if strength > best.strength:
            best = Opinion(strength, False, act)
    return best
