"""The space that a corpus's passages span, counted once: what an encoder that knows every text knows too little of.

An encoder's vectors of one corpus crowd into a cone, and some passages are near to everything. So a cosine is also
taken where the corpus spreads evenly (whitening), a passage's nearness to everybody is known (hubs), and words that
this corpus uses together count as near (latent semantic indexing). Plain numpy: it is made where passages are indexed,
and read where they are ranked.

References:
    Deerwester et al.: Indexing by latent semantic analysis, JASIS 1990.
    Halko, Martinsson, Tropp: Finding structure with randomness, SIAM Review 2011 (the decomposition).
    Su et al.: Whitening sentence representations for better semantics and faster retrieval, 2021.
    Radovanović, Nanopoulos, Ivanović: Hubs in space, JMLR 2010.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.encoders.onnx import FloatArray, IntArray

LATENT = 128
"""Dimensions of the latent space."""
DECOMPOSED = 8_000
"""Passages from which it is made: twice as many take twice as long, and find the same topics."""
OVERSAMPLED, POWER_STEPS = 16, 2
HUBS = 1_000
"""Passages that stand for all when nearness to everybody is measured."""
NEAREST_HUBS = 10
SMOOTHED = 1e-3
"""Of the largest variance, what is added to all: directions in which the corpus hardly varies must not decide."""
_AT_A_TIME = 500_000
"""Words whose rows are gathered at a time: some 300 MB."""
_TINY = 1e-9

HalfArray = np.ndarray[Any, np.dtype[np.float16]]


def unit(rows: FloatArray) -> FloatArray:
    """L2-normalised along the last axis; a row of zeros stays one."""
    found: FloatArray = (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), _TINY)).astype(np.float32)
    return found


@dataclass(frozen=True, slots=True)
class Space:
    """What is known of a corpus's passages together.

    Attributes:
        centre: float32 (dim,), their mean vector.
        whitening: float32 (dim, dim): centred vectors times this have about unit variance in every direction.
        hubs: float32 (m, dim), vectors of some of them.
        latent: float32 (vocabulary, LATENT or less), where each vocabulary id stands in the latent space, with the
            weight of one occurrence.
    """

    centre: FloatArray
    whitening: FloatArray
    hubs: FloatArray
    latent: FloatArray

    @classmethod
    def empty(cls, dim: int, vocabulary: int) -> Space:
        """Of a corpus without passages: nothing is nearer than the encoder says."""
        nothing = np.zeros((1, dim), np.float32)
        return cls(nothing[0], np.eye(dim, dtype=np.float32), nothing, np.zeros((vocabulary, 1), np.float32))

    @classmethod
    def of(cls, embeddings: Sequence[FloatArray], texts: Sequence[IntArray], idf: FloatArray) -> Space:
        """From some of the corpus's passages, at least one: their vectors, their vocabulary ids, and every id's IDF."""
        vectors = unit(np.stack(embeddings))
        centre = vectors.mean(axis=0)
        values, directions = np.linalg.eigh(np.cov((vectors - centre).T, bias=True).reshape(len(centre), len(centre)))
        scale = np.sqrt(np.maximum(values, 0) + SMOOTHED * max(float(values.max()), _TINY))
        step, few = max(1, len(texts) // HUBS), max(1, len(texts) // DECOMPOSED)
        return cls(
            centre,
            (directions / scale).astype(np.float32),
            _halved(vectors[::step][:HUBS]),
            _halved(_latent(texts[::few], idf)),
        )

    def arrays(self) -> dict[str, FloatArray | HalfArray]:
        """As they are kept, by name: the two large ones in half precision, to which they are rounded already."""
        kept = {name: getattr(self, name) for name in ("centre", "whitening", "hubs", "latent")}
        return {**kept, "hubs": self.hubs.astype(np.float16), "latent": self.latent.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray | HalfArray]) -> Space:
        """What `arrays` gave.

        Raises:
            KeyError: one is missing.
        """
        return cls(*(arrays[name].astype(np.float32) for name in ("centre", "whitening", "hubs", "latent")))

    def whitened(self, vectors: FloatArray) -> FloatArray:
        """Unit vectors (n, dim) in the whitened space."""
        return unit(((vectors - self.centre) @ self.whitening).astype(np.float32))

    def hubness(self, vectors: FloatArray) -> FloatArray:
        """(n,): mean cosine to the nearest hubs."""
        nearest = min(NEAREST_HUBS, len(self.hubs))
        near = np.partition(vectors @ self.hubs.T, -nearest, axis=1)[:, -nearest:]
        found: FloatArray = near.mean(axis=1)
        return found

    def topics(self, texts: Sequence[IntArray], idf: FloatArray) -> FloatArray:
        """float32 (n, latent): unit vectors of texts, each given as its vocabulary ids."""
        width = len(idf)
        words = np.concatenate([np.asarray(ids) for ids in texts])
        owners = np.repeat(np.arange(len(texts)), [len(ids) for ids in texts])
        known = (words >= 0) & (words < width)
        words, owners = words[known], owners[known]
        # The words that occur, each with a column: one product with their rows takes a third of a sum by text.
        occurs = np.zeros(width, bool)
        occurs[words] = True
        used = np.flatnonzero(occurs)
        column = np.zeros(width, np.intp)
        column[used] = np.arange(len(used))
        counts = np.bincount(owners * len(used) + column[words], minlength=len(texts) * len(used))
        weight = np.concatenate([[0], 1 + np.log(np.arange(1, max(int(counts.max(initial=0)), 1) + 1))])
        values = weight.astype(np.float32)[counts.reshape(len(texts), len(used))]
        return unit((values * idf[used].astype(np.float32)) @ self.latent[used])


def _halved(rows: FloatArray) -> FloatArray:
    """Rounded to half precision, so that what is kept is what was counted with."""
    return rows.astype(np.float16).astype(np.float32)


def _weighted(ids: IntArray, idf: FloatArray) -> tuple[IntArray, FloatArray]:
    """A text's distinct vocabulary ids, and (1 + ln count) * IDF of each."""
    distinct, counts = np.unique(ids[(ids >= 0) & (ids < len(idf))], return_counts=True)
    return distinct, ((1 + np.log(counts)) * idf[distinct]).astype(np.float32)


class _Sparse:
    """A matrix of weighted words, a row a text, that is only ever multiplied."""

    def __init__(self, rows: Sequence[tuple[IntArray, FloatArray]], width: int) -> None:
        self.shape = (len(rows), width)
        self._rows = np.repeat(np.arange(len(rows)), [len(ids) for ids, _ in rows])
        self._columns = np.concatenate([ids for ids, _ in rows])
        self._values = np.concatenate([values for _, values in rows]).astype(np.float32)
        self._by_column = np.argsort(self._columns, kind="stable")

    def times(self, right: FloatArray) -> FloatArray:
        """(rows, k) of (width, k)."""
        return _summed(self._rows, self._columns, self._values, right, self.shape[0])

    def transposed_times(self, right: FloatArray) -> FloatArray:
        """(width, k) of (rows, k)."""
        order = self._by_column
        return _summed(self._columns[order], self._rows[order], self._values[order], right, self.shape[1])


def _summed(targets: IntArray, sources: IntArray, values: FloatArray, right: FloatArray, rows: int) -> FloatArray:
    """out[target] += value * right[source]; `targets` rise."""
    out = np.zeros((rows, right.shape[1]), np.float32)
    for start in range(0, len(targets), _AT_A_TIME):
        here = slice(start, start + _AT_A_TIME)
        owners, begins = np.unique(targets[here], return_index=True)
        out[owners] += np.add.reduceat(right[sources[here]] * values[here, None], begins, axis=0)
    return out


def _latent(texts: Sequence[IntArray], idf: FloatArray) -> FloatArray:
    """The words' side of a truncated singular value decomposition of the texts' words, (vocabulary, latent)."""
    weighted = [_weighted(ids, idf) for ids in texts]
    used = np.unique(np.concatenate([ids for ids, _ in weighted]))
    if not len(used):  # not one text has a word
        return np.zeros((len(idf), 1), np.float32)
    matrix = _Sparse([(np.searchsorted(used, ids), unit(values)) for ids, values in weighted], len(used))
    rank = min(LATENT + OVERSAMPLED, *matrix.shape)
    found = matrix.times(np.random.default_rng(0).normal(size=(len(used), rank)).astype(np.float32))
    for _ in range(POWER_STEPS):
        found = matrix.times(_orthonormal(matrix.transposed_times(_orthonormal(found))))
    latent = np.zeros((len(idf), min(LATENT, rank)), np.float32)
    latent[used] = _orthonormal(matrix.transposed_times(_orthonormal(found)))[:, : latent.shape[1]]
    return latent


def _orthonormal(columns: FloatArray) -> FloatArray:
    """The left singular vectors, strongest first, by way of the small Gram matrix; zeros where there is none."""
    values, right = np.linalg.eigh((columns.T @ columns).astype(np.float64))
    strongest = np.argsort(-values)
    values, right = values[strongest], right[:, strongest]
    scale = np.where(values > _TINY * max(float(values[0]), _TINY), 1 / np.sqrt(np.maximum(values, _TINY**2)), 0.0)
    found: FloatArray = (columns @ (right * scale)).astype(np.float32)
    return found
