"""Small made-up lists: candidates, tokens and training lists whose truth is known. No model is involved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tribrid.encoders.tokens import WIDTH, PassageTokens, QueryTokens
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import Reading
from tribrid.scoring.space import Space
from tribrid.training.lists import BAD, GOOD, Labels, TrainingList, own_features
from tribrid.types import DENSE, SPARSE, Candidate, LegScore, Passage

VOCABULARY = 50
DIM = 32
STATISTICS = CorpusStatistics(np.ones(VOCABULARY, np.float32), 10.0, Space.empty(DIM, VOCABULARY))
"""What training lists are described with."""


def unit(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    found: np.ndarray[Any, np.dtype[np.float32]]
    found = (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)).astype(np.float32)
    return found


def passage_tokens(rng: np.random.Generator, n: int, title: int = 0) -> PassageTokens:
    vectors = unit(rng.normal(size=(n, WIDTH)))
    ends = np.maximum(np.arange(n) - title + 1, 0) * 5
    ids, scales = rng.integers(0, VOCABULARY, n), np.ones(n, np.float32)
    return PassageTokens(ids, vectors, scales, title, ends, unit(rng.normal(size=DIM)))


def query_tokens(rng: np.random.Generator, n: int) -> QueryTokens:
    vectors = unit(rng.normal(size=(n, WIDTH)))
    pooled, embedding = unit(rng.normal(size=WIDTH)), unit(rng.normal(size=DIM))
    return QueryTokens("which one", rng.integers(0, VOCABULARY, n), vectors, pooled, embedding)


def candidates_of(
    scores: Sequence[float], doc_ids: Sequence[str] | None = None, legs: Mapping[str, Sequence[float]] | None = None
) -> list[Candidate]:
    """Documents in the order given. `legs`: raw scores; a NaN means that the leg did not return the document."""
    names = doc_ids or [f"d{i:03}" for i in range(len(scores))]
    return [
        Candidate(
            Passage(name, 0, 0, 10, "", f"text of {name}"),
            rank,
            score,
            {leg: LegScore(rank, of[rank - 1]) for leg, of in (legs or {}).items() if not np.isnan(of[rank - 1])},
        )
        for rank, (name, score) in enumerate(zip(names, scores, strict=True), 1)
    ]


def reading_of(seed: int, n: int = 8, query: int = 4, lengths: Sequence[int] | None = None) -> Reading:
    """A search with `n` candidates in fused order."""
    rng = np.random.default_rng(seed)
    scores = np.sort(rng.random(n))[::-1].tolist()
    legs = {DENSE: rng.random(n).tolist(), SPARSE: (rng.random(n) * 20).tolist()}
    passages = [passage_tokens(rng, length) for length in (lengths or rng.integers(1, 40, n).tolist())]
    return Reading("which one", query_tokens(rng, query), candidates_of(scores, legs=legs), passages)


def training_list(
    seed: int, *, learnable: bool, n: int = 12, cluster: str | None = None, weight: float = 1.0, good: int | None = None
) -> TrainingList:
    """A query with one good candidate and the rest bad. If `learnable`, it is the one with the highest sparse score,
    which the fused score does not show; else it is any, or that at the rank `good`.
    """
    rng = np.random.default_rng(seed)
    sparse = rng.permutation(n) * 1.0 + 1
    best = int(sparse.argmax()) if learnable else int(rng.integers(n)) if good is None else good - 1
    legs = {SPARSE: sparse.tolist(), DENSE: rng.random(n).tolist()}
    names = [f"q{seed}-d{i}" for i in range(n)]
    found = candidates_of(np.sort(rng.random(n))[::-1].tolist(), names, legs)
    grades = {name: GOOD if i == best else BAD for i, name in enumerate(names)}
    labels = Labels(f"q{seed}", f"query {seed}", grades, dict.fromkeys(names, weight))
    passages = [passage_tokens(rng, int(length)) for length in rng.integers(3, 20, n)]
    reading = Reading(labels.query, query_tokens(rng, 4), found, passages)
    return TrainingList.of(labels, cluster or f"c{seed}", reading, own_features(reading, STATISTICS, 10_000))
