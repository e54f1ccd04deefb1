"""Labels past the budget: nothing is learned of their order, but what was good for a query is remembered.

A pair within the budget costs a retrieval, its negatives, and a list of candidates in training. To remember one takes
the query's text alone, and what is remembered of other queries is much of what a model knows
(docs/decisions/0007-what-is-past-the-budget-is-remembered.md).

Each is written as one triplet. Its negative was found bad in so many words, or was good for another query: it stands
for the rest of the corpus, and nothing is learned from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence

from tribrid.mining.conflicts import Shield
from tribrid.mining.labels import Group, Positive
from tribrid.types import Triplet

LEAST_WEIGHT = 0.0001
ELSEWHERE = "the negative was good for another query"
_TRIES = 10

Left = tuple[Group, Positive]
"""A query and one of its positives that found no room."""


def remember(
    left: Sequence[Left], groups: Sequence[Group], shield: Shield, query_id: Callable[[Group], str]
) -> list[Triplet]:
    """One triplet a pair of `left`; none for a pair beside which `groups`, all there are, know no other document."""
    others = sorted({doc_id for group in groups for doc_id in group.good}) if left else []
    spoken_of: dict[int, set[str]] = {}
    found = []
    for group, positive in left:
        if id(group) not in spoken_of:
            spoken_of[id(group)] = {*group.documents(), *group.unknown, *shield.against(group)}
        negative = _negative(group, positive, spoken_of[id(group)], others)
        if negative is not None:
            found.append(_triplet(query_id(group), group, positive, negative))
    return found


def _triplet(query_id: str, group: Group, positive: Positive, negative: tuple[str, str]) -> Triplet:
    doc_id, reason = negative
    return Triplet(
        query_id=query_id,
        query=group.query,
        positive=(positive.doc_id, 0),
        negative=(doc_id, 0),
        source=group.source,
        weight=max(LEAST_WEIGHT, round(positive.weight, 4)),
        reason=f"{positive.reason}; {reason}",
        evidence=positive.evidence,
        observed_us=positive.observed_us,
        remembered=True,
    )


def _negative(
    group: Group, positive: Positive, spoken_of: Collection[str], others: Sequence[str]
) -> tuple[str, str] | None:
    """The doc_id of a document that is worse, and how that is known."""
    for known in group.explicit:
        if known.standing < positive.standing and known.doc_id != positive.doc_id:
            return known.doc_id, known.reason
    drawn = hashlib.sha256(f"{group.query}\x1f{positive.doc_id}".encode("utf-8", "surrogatepass")).digest()
    start = int.from_bytes(drawn[:8], "big")
    for step in range(min(_TRIES, len(others))):
        doc_id = others[(start + step) % len(others)]
        if doc_id not in spoken_of:
            return doc_id, ELSEWHERE
    return None
