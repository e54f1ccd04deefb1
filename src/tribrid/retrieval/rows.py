"""The index's rows in memory: keys of all passages, and their vectors while those fit. Pure numpy.

One matrix product over 100,000 vectors takes about 8 ms on two cores, a scan of the table about 55 ms; so vectors
are kept in memory up to a limit, and scanned on disk above it. Both are exact and agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tribrid.retrieval.fusion import Key
from tribrid.types import Passage

Vector = np.ndarray[Any, np.dtype[np.float32]]
RowIds = np.ndarray[Any, np.dtype[np.uint64]]
Ordinals = np.ndarray[Any, np.dtype[np.int32]]
Positions = np.ndarray[Any, np.dtype[np.intp]]
RowBatch = tuple[RowIds, list[str], Ordinals, Vector | None]
"""A part of the table: row ids, doc_ids, ordinals, vectors."""


_OVERHEAD_BYTES = 1_000
"""Of the objects that hold a row, about."""


class Row(NamedTuple):
    """A passage, its opaque token blob, and its vector: float32 (dim,), L2-normalised."""

    passage: Passage
    tokens: bytes
    vector: Vector

    @property
    def nbytes(self) -> int:
        """Of memory, about; the text as if it were ASCII."""
        return len(self.tokens) + len(self.passage.text) + self.vector.nbytes + _OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of one version of the table, by position.

    Attributes:
        row_ids: uint64 (n,), ascending.
        doc_ids: str objects (n,).
        ordinals: int32 (n,).
        vectors: float32 (n, dim), L2-normalised rows, or None when they do not fit the limit.
    """

    row_ids: RowIds
    doc_ids: np.ndarray[Any, np.dtype[np.object_]]
    ordinals: Ordinals
    vectors: Vector | None

    @classmethod
    def load(cls, batches: Iterable[RowBatch], count: int, dim: int | None) -> Rows:
        """Fill from a scan of `count` rows. Vectors are copied once, straight to their place; dim None: not kept."""
        row_ids, doc_ids = np.empty(count, np.uint64), np.empty(count, np.object_)
        ordinals = np.empty(count, np.int32)
        vectors = None if dim is None else np.empty((count, dim), np.float32)
        start = 0
        for ids, names, numbers, some_vectors in batches:
            here = slice(start, start := start + len(ids))
            row_ids[here], doc_ids[here], ordinals[here] = ids, names, numbers
            if vectors is not None:
                vectors[here] = some_vectors
        if np.all(row_ids[1:] > row_ids[:-1]):
            return cls(row_ids, doc_ids, ordinals, vectors)
        order = np.argsort(row_ids)
        return cls(row_ids[order], doc_ids[order], ordinals[order], None if vectors is None else vectors[order])

    def positions(self, row_ids: RowIds) -> Positions:
        """Where these rows stand; every one must exist."""
        return np.searchsorted(self.row_ids, row_ids)

    def keys(self, positions: Positions) -> list[Key]:
        return list(zip(self.doc_ids[positions].tolist(), self.ordinals[positions].tolist(), strict=True))


def best_positions(scores: Vector, k: int) -> Positions:
    """Positions of the k highest scores, highest first."""
    if k >= len(scores):
        return np.argsort(-scores, kind="stable")
    best = np.argpartition(-scores, k)[:k]
    return best[np.argsort(-scores[best], kind="stable")]
