"""Which query is worth judging next, and which of its documents.

A label tells systems apart only where they differ, and matters as often as its query is asked. So queries are put in
order by the clients who ask them, times the share of the first documents that rankings do not share. The documents of
all rankings are pooled and shuffled: who judges must not see which ranking found a document, or where.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

POOL_DEPTH = 10
"""Of each ranking, the first documents: what reports measure."""

Rankings = Mapping[str, Sequence[str]]
"""System → doc_ids, best first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, who asks it, what is known of it and how each system ranks it.

    `grades`: doc_id → grade, of what is judged already.
    """

    text: str
    clients: int
    rankings: Rankings
    query_id: str | None = None
    grades: Mapping[str, int] | None = None

    @property
    def disagreement(self) -> float:
        """Mean share of their first documents that two rankings do not share, 0..1."""
        tops = [set(ranking[:POOL_DEPTH]) for ranking in self.rankings.values() if ranking]
        shares = [len(a & b) / max(len(a), len(b)) for a, b in itertools.combinations(tops, 2)]
        return 1 - sum(shares) / len(shares) if shares else 0.0

    def pool(self, seed: int, depth: int = POOL_DEPTH) -> list[str]:
        """The first documents of all rankings that nobody has judged yet, in an order that says nothing of theirs."""
        found = {doc_id for ranking in self.rankings.values() for doc_id in ranking[:depth]}
        left = sorted(found - (self.grades or {}).keys())
        random.Random(f"{seed} {self.text}").shuffle(left)
        return left

    @property
    def worth(self) -> float:
        """How much its labels would tell: of a query that is judged, by what of its documents is not."""
        pooled = {doc_id for ranking in self.rankings.values() for doc_id in ranking[:POOL_DEPTH]}
        unjudged = len(pooled - (self.grades or {}).keys()) / max(len(pooled), 1)
        return max(self.clients, 1) * self.disagreement * unjudged

    @property
    def why(self) -> str:
        """In words."""
        unasked = "in the log, without a client_id" if self.query_id is None else "in the eval dataset"
        who = f"asked by {self.clients:,} client{'s' * (self.clients != 1)}" if self.clients else unasked
        shared = round((1 - self.disagreement) * POOL_DEPTH)
        told = f"{who}; the rankings share {shared} of their first {POOL_DEPTH}"
        return f"{told}; {len(self.grades):,} documents are judged" if self.grades else told


def most_telling(asked: Sequence[Asked], most: int) -> list[Asked]:
    """The queries whose labels tell most, best first; none of which they would tell nothing."""
    told = [query for query in asked if query.worth > 0]
    return sorted(told, key=lambda query: (-query.worth, query.text))[:most]
