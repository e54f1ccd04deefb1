"""What was good for past queries: the part of learning that is remembering.

For a candidate, the past queries it was good for are compared with the query by cosine. A model carries the
memory of its own training queries, nothing else; in training a query's own cluster is left out, so that the blend
learns what memory is worth for queries it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.scoring.onnx import FloatArray

NAMES = ("memory_best", "memory_sum", "memory_count", "memory_mean", "memory_best_gap", "memory_sum_gap")
FAR = 0.3
"""Cosine below which two queries have nothing to do with each other."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Past queries and the documents that were good for them.

    Attributes:
        embeddings: float32 (queries, dim), L2-normalised.
        clusters: one a query; near-duplicate queries share theirs.
        good: doc_id → positions of the queries it was good for.
    """

    embeddings: FloatArray
    clusters: tuple[str, ...]
    good: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, embeddings: FloatArray, clusters: Sequence[str], positives: Sequence[Sequence[str]]) -> Memory:
        """Build it from parallel lists: a query's embedding, its cluster, its positive documents."""
        good: dict[str, list[int]] = {}
        for position, doc_ids in enumerate(positives):
            for doc_id in doc_ids:
                good.setdefault(doc_id, []).append(position)
        return cls(embeddings, tuple(clusters), {doc_id: tuple(at) for doc_id, at in good.items()})

    def features(self, query: FloatArray, doc_ids: Sequence[str], unlike: frozenset[str]) -> dict[str, Any]:
        """The memory features of each document for a query embedding float32 (dim,)."""
        table = np.zeros((len(doc_ids), 4), np.float32)
        cosines = self.embeddings @ query if len(self.embeddings) else self.embeddings
        for row, doc_id in enumerate(doc_ids):
            near = [float(cosines[p]) for p in self.good.get(doc_id, ()) if self.clusters[p] not in unlike]
            if near:
                table[row] = (
                    max(near),
                    sum(max(value - FAR, 0.0) for value in near),
                    np.log1p(len(near)),
                    sum(near) / len(near),
                )
        gaps = table[:, :2] - table[:, :2].max(axis=0, initial=0.0)
        return dict(zip(NAMES, [*table.T, *gaps.T], strict=True))
