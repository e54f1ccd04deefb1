"""What was good for past queries: the part of learning that is remembering.

For a candidate, the past queries it was good for are compared with the query by cosine; and all past queries divide
one vote among them by how like the query they are, in meaning and in words, and each gives its part to what was good
for it. A model carries the
memory of its own training queries, nothing else; in training a query's own cluster is left out, so that the blend
learns what memory is worth for queries it has not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tribrid.encoders.onnx import FloatArray, IntArray

NAMES = (
    "memory_best",
    "memory_sum",
    "memory_count",
    "memory_mean",
    "memory_share",
    "memory_best_gap",
    "memory_sum_gap",
)
FAR = 0.3
"""Cosine below which two queries have nothing to do with each other."""
SHARPNESS = 0.1
"""How much nearer, in likeness 0..1, a past query must be to weigh e times as much in `memory_share`."""


@dataclass(frozen=True, slots=True)
class PastQueries:
    """Past queries by number, to be compared with one that comes.

    Attributes:
        embeddings: float32 (queries, dim), L2-normalised.
        words: int64 (words,), every query's distinct vocabulary ids, rising.
        owners: int64 (words,), the number of the query that each id belongs to.
        sizes: int64 (queries,), how many distinct ids each query has.
    """

    embeddings: FloatArray
    words: IntArray
    owners: IntArray
    sizes: IntArray

    @classmethod
    def of(cls, embeddings: FloatArray, ids: Sequence[IntArray]) -> PastQueries:
        """From parallel lists: a query's embedding and its vocabulary ids."""
        distinct = [np.unique(own) for own in ids]
        owners = np.repeat(np.arange(len(distinct)), [len(own) for own in distinct])
        return cls.by_word(embeddings, np.concatenate([*distinct, np.zeros(0, np.int64)]).astype(np.int64), owners)

    @classmethod
    def by_word(cls, embeddings: FloatArray, words: IntArray, owners: IntArray) -> PastQueries:
        """From words and owners in any order: by word, a query's few words are found among those of thousands."""
        order = np.argsort(words, kind="stable")
        return cls(embeddings, words[order], owners[order], np.bincount(owners, minlength=len(embeddings)))

    def cosines(self, embedding: FloatArray) -> FloatArray:
        """float32 (queries,)."""
        found: FloatArray = self.embeddings @ embedding if len(self.embeddings) else np.zeros(0, np.float32)
        return found

    def overlaps(self, ids: IntArray) -> FloatArray:
        """float32 (queries,): Jaccard similarity of the sets of vocabulary ids."""
        own = np.unique(ids)
        ends = zip(np.searchsorted(self.words, own), np.searchsorted(self.words, own, "right"), strict=True)
        asked = np.concatenate([np.zeros(0, np.int64), *(self.owners[start:end] for start, end in ends)])
        shared = np.bincount(asked.astype(np.int64), minlength=len(self.embeddings))
        found: FloatArray = (shared / np.maximum(self.sizes + len(own) - shared, 1)).astype(np.float32)
        return found


@dataclass(frozen=True, slots=True)
class Memory:
    """Past queries and the documents that were good for them.

    Attributes:
        queries: the past queries.
        clusters: one a query; near-duplicate queries share theirs.
        good: doc_id → numbers of the queries it was good for.
    """

    queries: PastQueries
    clusters: tuple[str, ...]
    good: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, queries: PastQueries, clusters: Sequence[str], positives: Sequence[Sequence[str]]) -> Memory:
        """Build it from parallel lists: a query, its cluster, its positive documents."""
        good: dict[str, list[int]] = {}
        for position, doc_ids in enumerate(positives):
            for doc_id in doc_ids:
                good.setdefault(doc_id, []).append(position)
        return cls(queries, tuple(clusters), {doc_id: tuple(at) for doc_id, at in good.items()})

    def features(
        self, embedding: FloatArray, ids: IntArray, doc_ids: Sequence[str], unlike: frozenset[str]
    ) -> dict[str, FloatArray]:
        """The memory features of each document for a query: its embedding float32 (dim,) and vocabulary ids."""
        table = np.zeros((len(doc_ids), 5), np.float32)
        cosines = self.queries.cosines(embedding)
        likeness: FloatArray = ((cosines + self.queries.overlaps(ids)) / 2).astype(np.float32)
        shares = self._shares(likeness, unlike)
        for row, doc_id in enumerate(doc_ids):
            known = [p for p in self.good.get(doc_id, ()) if self.clusters[p] not in unlike]
            near = [float(cosines[p]) for p in known]
            if near:
                table[row] = (
                    max(near),
                    sum(max(value - FAR, 0.0) for value in near),
                    np.log1p(len(near)),
                    sum(near) / len(near),
                    float(shares[known].sum()),
                )
        gaps = table[:, :2] - table[:, :2].max(axis=0, initial=0.0)
        return dict(zip(NAMES, [*table.T, *gaps.T], strict=True))

    def recalled(self, embedding: FloatArray, ids: IntArray, doc_id: str) -> list[tuple[str, float]]:
        """The cluster of each past query that a document was good for, with how like this query it is, 0..1."""
        likeness = (self.queries.cosines(embedding) + self.queries.overlaps(ids)) / 2
        return [(self.clusters[at], float(likeness[at])) for at in self.good.get(doc_id, ())]

    def without(self, doc_id: str, clusters: Collection[str]) -> Memory:
        """The same, had the document not been good for these clusters' queries."""
        left = tuple(at for at in self.good.get(doc_id, ()) if self.clusters[at] not in clusters)
        return replace(self, good={**self.good, doc_id: left})

    def _shares(self, likeness: FloatArray, unlike: frozenset[str]) -> FloatArray:
        """How the past queries share the say: softmax of likeness, summing to 1 over those that may speak."""
        speaks = np.ones(len(self.clusters), bool)
        if unlike:
            speaks = np.array([cluster not in unlike for cluster in self.clusters], bool)
        if not speaks.any():
            return np.zeros(len(likeness), np.float32)
        exponent = np.where(speaks, np.exp((likeness - likeness[speaks].max()) / SHARPNESS), 0)
        shares: FloatArray = (exponent / exponent.sum()).astype(np.float32)
        return shares
