"""A pair that is mined: a query, its positive, and what was chosen for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import Group, Positive
from tribrid.mining.negatives import Chosen, Negative
from tribrid.mining.remembered import LEAST_WEIGHT
from tribrid.types import Passage, Triplet


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, its positive and what was chosen for it; `retrieved`: whether retrieval returned the positive."""

    group: Group
    positive: Positive
    passage: Passage
    chosen: Chosen
    retrieved: bool

    @property
    def key(self) -> tuple[str, str]:
        return (normalise(self.group.query), self.positive.doc_id)

    def triplets(self, query_id: str) -> Iterator[Triplet]:
        for held_back, negatives in enumerate(self.chosen):
            yield from (self._triplet(query_id, negative, bool(held_back)) for negative in negatives)

    def _triplet(self, query_id: str, negative: Negative, held_back: bool) -> Triplet:
        return Triplet(
            query_id=query_id,
            query=self.group.query,
            positive=self.passage.key,
            negative=negative.passage.key,
            source=self.group.source,
            weight=max(LEAST_WEIGHT, round(self.positive.weight * negative.weight, 4)),
            reason=f"{self.positive.reason}; {negative.reason}",
            evidence=self.positive.evidence,
            observed_us=self.positive.observed_us,
            held_back=held_back,
        )
