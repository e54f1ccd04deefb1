"""What the blend knows of a query and its candidates: the legs, token interaction, lexical overlap, and memory.

All features of a query's candidates are computed together, from one matrix of similarities between the query's
tokens and all tokens of all candidates. Some features compare a candidate with the others of its list, so a list
must always be the whole list that is served, in training too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.tokens import PassageTokens, QueryTokens
from tribrid.scoring.memory import Memory
from tribrid.scoring.nearness import nearness, smoothed, spelling, standard
from tribrid.scoring.space import Space
from tribrid.types import DENSE, GRAPH, SPARSE, Candidate, LegScore

HALF = 12
"""Tokens. A window is two halves, about a sentence, and each half is in two windows."""
BM25_K1, BM25_B = 1.2, 0.75
"""Lance's constants, here and in `retrieval`: every BM25 is on one scale."""
_TINY = 1e-9
GRAPH_FEATURES = ("graph", "graph_place")
"""How near a candidate is to the first ones, over the nearest, and 1 / its rank by that; 0: no edge leads to it."""
_RELATIVE = (
    "fused",
    "cosine",
    "bm25",
    "maxsim_idf",
    "maxsim",
    "window",
    "word_bm25",
    "title_maxsim",
    "feedback",
    "overlap",
)
_STANDARD = (
    "exact_cosine",
    "white",
    "hubness",
    "beyond_hubness",
    "topics",
    "pulled",
    "pulled_wide",
    "pulled_white",
    "neighbours",
    "crowd",
    "neighbours_white",
    "crowd_white",
    "grams",
    "rare_grams",
)
AGREEING = ("exact_cosine_z", "word_bm25_z", "maxsim_idf_z", "white_z", "topics_z")
"""Five readings of a candidate that err apart: of what they agree in, little is chance."""
_UNSMOOTHED: Mapping[str, float] = {"agreement": 1.0, "pulled_z": 1.0, "rare_grams_z": 0.3}
UNTRAINED: Mapping[str, float] = {**_UNSMOOTHED, "smoothed_z": 0.5}
"""Features of which the sum, so weighted, ranks before anything was learned. The last is what a candidate's nearest
have of the others (docs/decisions/0020-neighbours-of-the-best-known-order.md)."""

Features = dict[str, FloatArray]
Array = np.ndarray[Any, np.dtype[Any]]
Vector = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """What lexical features need of the corpus. Kept in the model's artifact, so that a model's scores never move.

    Attributes:
        idf: float32 (vocabulary,), of each vocabulary id over passages.
        mean_tokens: mean tokens of a passage.
        space: what its passages span.
    """

    idf: FloatArray
    mean_tokens: float
    space: Space

    @classmethod
    def count(cls, passages: Iterable[PassageTokens], vocabulary: int, dim: int) -> CorpusStatistics:
        """Count document frequencies in one pass, keeping no token's vector; with BM25's IDF, never negative.

        Args:
            vocabulary: ids of the tokenizer.
            dim: numbers in a passage's vector.
        """
        frequency = np.zeros(vocabulary, np.int64)
        texts, vectors = [], []
        for passage in passages:
            frequency[np.unique(passage.ids)] += 1
            texts.append(passage.ids)
            vectors.append(passage.embedding)
        n = len(texts)
        idf = np.log1p((n - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        space = Space.of(vectors, texts, idf) if n else Space.empty(dim, vocabulary)
        return cls(idf, max(sum(map(len, texts)) / max(n, 1), 1.0), space)


class _Segments:
    """All candidates' tokens in one row, with where each candidate begins. Empty passages get one zero token.

    Attributes:
        similar: float32 (query tokens, tokens), the dot products.
        halves: float32 (m, width), the sums of HALF neighbouring tokens, of the last of a candidate of fewer.
    """

    def __init__(self, passages: Sequence[PassageTokens], query: FloatArray) -> None:
        width = query.shape[1]
        number, zeros = np.zeros(1, np.int64), np.zeros((1, width), np.int8)
        blank = PassageTokens(number - 1, zeros, np.zeros(1, np.float32), 0, number, np.zeros(width, np.float32))
        filled = [p if len(p.ids) else blank for p in passages]
        self.lengths = np.array([len(p.ids) for p in filled])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.intp)
        self.owner = np.repeat(np.arange(len(filled)), self.lengths)
        self.ids = np.concatenate([p.ids for p in filled])
        self.halves_each = -(-self.lengths // HALF)
        self.similar, self.halves = self._interact(filled, query)
        titles = np.array([p.title for p in filled])
        self.titles = titles
        self.in_title = np.arange(len(self.ids)) - self.starts[self.owner] < titles[self.owner]

    def _interact(self, passages: Sequence[PassageTokens], query: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See the attributes. A candidate's vectors are made, used and made over while they are in the processor's
        cache: those of a whole list are megabytes, and to move them takes several times as long.
        """
        similar = np.empty((len(query), len(self.owner)), np.float32)
        halves = np.empty((int(self.halves_each.sum()), query.shape[1]), np.float32)
        space = np.empty((int(self.lengths.max()), query.shape[1]), np.float32)
        at = 0
        for passage, start, length in zip(passages, self.starts.tolist(), self.lengths.tolist(), strict=True):
            vectors, (whole, rest) = passage.vectors_in(space), divmod(length, HALF)
            np.matmul(query, vectors.T, out=similar[:, start : start + length])
            runs = vectors[: whole * HALF].reshape(whole, HALF, query.shape[1])
            np.einsum("ijk->ik", runs, out=halves[at : at + whole])
            at += whole
            if rest:
                np.sum(vectors[whole * HALF :], axis=0, out=halves[at])
                at += 1
        return similar, halves

    def best(self, values: Array) -> Array:
        """Maximum over each candidate's tokens: (rows, tokens) → (rows, n)."""
        return np.maximum.reduceat(values, self.starts, axis=1)

    def best_parts(self, values: Array) -> tuple[Array, Array]:
        """Maximum over the tokens of each candidate's title and of its text, -1 for a part without tokens: (rows,
        tokens) → twice (rows, n).
        """
        lengths = np.stack([self.titles, self.lengths - self.titles], axis=1).ravel()
        has = lengths > 0
        found = np.full((len(values), len(lengths)), -1.0, values.dtype)
        found[:, has] = np.maximum.reduceat(values, (np.cumsum(lengths) - lengths)[has], axis=1)
        return found[:, 0::2], found[:, 1::2]

    def total(self, values: Array) -> Array:
        """Sum over each candidate's tokens: (rows, tokens) → (rows, n)."""
        return np.add.reduceat(values, self.starts, axis=1)


def _of_leg(candidates: Sequence[Candidate], name: str, read: Callable[[LegScore], float]) -> FloatArray:
    """float32 (n,): what one leg says of each; 0 where it did not return it."""
    return np.array([read(c.legs[name]) if name in c.legs else 0.0 for c in candidates], np.float32)


def _leg_features(candidates: Sequence[Candidate]) -> Features:
    fused = np.array([c.score for c in candidates], np.float32)
    sparse = _of_leg(candidates, SPARSE, lambda leg: leg.score)
    # A candidate outside the dense leg is at most as near as the last one inside it.
    inside = [c.legs[DENSE].score for c in candidates if DENSE in c.legs]
    floor = min(inside, default=0.0)
    cosine = np.array([c.legs[DENSE].score if DENSE in c.legs else floor for c in candidates], np.float32)
    near = _of_leg(candidates, GRAPH, lambda leg: leg.score)
    return {
        "graph": near / max(float(near.max()), _TINY),
        "graph_place": _of_leg(candidates, GRAPH, lambda leg: 1 / leg.rank),
        "fused": fused,
        "cosine": cosine,
        "bm25": sparse / max(float(sparse.max()), _TINY),
        "bm25_raw": sparse,
        "log_rank": np.log1p(np.arange(len(candidates), dtype=np.float32)),
    }


def _interaction_features(similar: Array, weights: Array, tokens: _Segments) -> Features:
    title, body = tokens.best_parts(similar)
    best = np.maximum(title, body)
    title = np.where(tokens.titles > 0, title, 0.0)
    body = np.where(tokens.lengths > tokens.titles, body, 0.0)
    column = weights[:, None]
    return {
        "maxsim": best.mean(0),
        "maxsim_idf": (column * best).sum(0),
        "maxsim_min": best.min(0),
        "maxsim_std": best.std(0),
        "maxsim_over_7": (best > 0.7).mean(0),
        "maxsim_idf_over_6": (column * (best > 0.6)).sum(0),
        "maxsim_soft": (column * np.maximum(best - 0.4, 0)).sum(0),
        "title_maxsim": (column * title).sum(0),
        "body_maxsim": (column * body).sum(0),
        "top_tokens": _top_mean(similar.max(0), tokens, 3),
    }


def _top_mean(values: Array, tokens: _Segments, k: int) -> Array:
    """Mean of each candidate's k highest values; values are (tokens,)."""
    rows = np.full((len(tokens.lengths), max(int(tokens.lengths.max()), k)), -np.inf, values.dtype)
    rows[tokens.owner, np.arange(len(values)) - tokens.starts[tokens.owner]] = values
    ranked = np.partition(rows, -k, axis=1)[:, -k:]
    mean: Array = np.where(np.isfinite(ranked), ranked, 0.0).sum(axis=1) / np.minimum(tokens.lengths, k)
    return mean


def _lexical_features(
    query: QueryTokens, idf: Array, weights: Array, tokens: _Segments, mean_tokens: float
) -> Features:
    match = query.ids[:, None] == tokens.ids[None]
    counts = tokens.total(match.astype(np.float32))
    in_title = tokens.total((match & tokens.in_title).astype(np.float32)) > 0
    norm = BM25_K1 * (1 - BM25_B + BM25_B * tokens.lengths / mean_tokens)
    gain = idf[:, None] * counts * (BM25_K1 + 1) / (counts + norm)
    total = max(float(idf.sum()), _TINY)
    return {
        "overlap": (weights[:, None] * (counts > 0)).sum(0),
        "title_overlap": (weights[:, None] * in_title).sum(0),
        "word_bm25": gain.sum(0) / total,
        "bigrams": _bigrams(match, idf, tokens),
    }


def _bigrams(match: Array, idf: Array, tokens: _Segments) -> Array:
    """Share (by IDF) of the query's adjacent token pairs that stand adjacent in the candidate."""
    if len(match) < 2:
        return np.zeros(len(tokens.lengths), np.float32)
    same = tokens.owner[:-1] == tokens.owner[1:]
    pairs = np.zeros((len(match) - 1, match.shape[1]), bool)
    pairs[:, :-1] = match[:-1, :-1] & match[1:, 1:] & same
    weight = np.minimum(idf[:-1], idf[1:])
    share: Array = (weight[:, None] * tokens.best(pairs)).sum(0) / max(float(weight.sum()), _TINY)
    return share


def _window_features(query: QueryTokens, tokens: _Segments, fused: Array) -> Features:
    """Best window's cosine, the whole passage's, and pseudo-relevance feedback (nearness to the list's head)."""
    halves, parts = tokens.halves_each, tokens.halves
    first = np.cumsum(halves) - halves
    owner = np.repeat(np.arange(len(halves)), halves)
    sums = np.add.reduceat(parts, first, axis=0)
    means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _TINY)
    # A window is a half and the next one of the same candidate. A last half is none, but for the only one.
    windows = parts.copy()
    within = np.flatnonzero(owner[:-1] == owner[1:])
    windows[within] += parts[within + 1]
    cosines = windows @ query.pooled / np.maximum(np.linalg.norm(windows, axis=1), _TINY)
    cosines[(first + halves - 1)[halves > 1]] = -np.inf
    head = np.argsort(-fused, kind="stable")
    return {
        "window": np.maximum.reduceat(cosines, first),
        "passage": means @ query.pooled,
        "feedback": means @ means[head[:3]].mean(0),
        "feedback_wide": means @ means[head[:8]].mean(0),
    }


def _relative(features: Features) -> Features:
    """How each candidate stands in its list: distance to the best and standard score of the leading features."""
    names = [*_RELATIVE, *_STANDARD]
    scores = dict(zip(names, standard(np.stack([features[name] for name in names])), strict=True))
    out: Features = {}
    for name in _RELATIVE:
        out[f"{name}_gap"] = features[name] - features[name].max()
        out[f"{name}_z"] = scores[name]
    out |= {f"{name}_z": scores[name] for name in _STANDARD}
    out["agreement"] = standard(np.sum([out[name] for name in AGREEING], axis=0))
    return out


def compute(
    query: QueryTokens,
    candidates: Sequence[Candidate],
    passages: Sequence[PassageTokens],
    statistics: CorpusStatistics,
    memory: Memory,
    *,
    unlike: frozenset[str] = frozenset(),
) -> Features:
    """Every feature, float32 (n,), in a fixed order of names: `describe`, then the memory's.

    Args:
        query, candidates, passages, statistics: as `describe`.
        memory: past queries and what was good for them.
        unlike: query clusters whose memory is not used: a training query's own.
    """
    features = describe(query, candidates, passages, statistics)
    return features | remember(query, candidates, memory, unlike)


def remember(
    query: QueryTokens, candidates: Sequence[Candidate], memory: Memory, unlike: frozenset[str] = frozenset()
) -> Features:
    """The features that depend on past queries, float32 (n,)."""
    found = memory.features(query.embedding, query.ids, [c.doc_id for c in candidates], unlike)
    return {name: values.astype(np.float32) for name, values in found.items()}


def describe(
    query: QueryTokens,
    candidates: Sequence[Candidate],
    passages: Sequence[PassageTokens],
    statistics: CorpusStatistics,
) -> Features:
    """The features that do not depend on past queries, float32 (n,).

    Args:
        query: the query.
        candidates: the whole served list in fused order, at least one.
        passages: the candidates' tokens, in the same order.
        statistics: of the corpus, frozen with the model.
    """
    idf = np.where(query.ids < len(statistics.idf), statistics.idf[np.minimum(query.ids, len(statistics.idf) - 1)], 0.0)
    weights = idf / idf.sum() if idf.sum() > 0 else np.full(len(idf), 1 / max(len(idf), 1), np.float32)
    features = _leg_features(candidates)
    if len(query.ids) == 0:  # nothing readable in the query: every interaction is zero
        query = replace(query, ids=np.full(1, -2, np.int64), vectors=np.zeros_like(query.pooled)[None])
        idf, weights = np.zeros(1, np.float32), np.ones(1, np.float32)
    tokens = _Segments(passages, query.vectors)
    features |= _interaction_features(tokens.similar, weights, tokens)
    features |= _lexical_features(query, idf, weights, tokens, statistics.mean_tokens)
    features |= _window_features(query, tokens, features["fused"])
    vectors = np.stack([passage.embedding for passage in passages])
    features |= nearness(
        query,
        vectors,
        [passage.ids for passage in passages],
        features["fused"],
        statistics.space,
        statistics.idf,
    )
    features |= spelling(query.text, list(map(_read_of, candidates, passages)))
    features["log_tokens"] = np.log1p(tokens.lengths)
    features["query_tokens"] = np.full(len(candidates), len(query.ids))
    features |= _relative(features)
    features["smoothed_z"] = standard(smoothed(vectors, _summed(features, _UNSMOOTHED).astype(np.float32)))
    return {name: values.astype(np.float32) for name, values in features.items()}


def untrained(features: Mapping[str, FloatArray]) -> Vector:
    """float64 (n,): the order before any label."""
    return _summed(features, UNTRAINED)


def _summed(features: Mapping[str, FloatArray], weights: Mapping[str, float]) -> Vector:
    total: Vector = np.sum([w * features[name] for name, w in weights.items()], axis=0, dtype=np.float64)
    return total


def _read_of(candidate: Candidate, tokens: PassageTokens) -> str:
    """The title, and as much of the text as the tokens are of."""
    passage = candidate.passage
    return f"{passage.title} {passage.text[: int(tokens.ends[-1]) if len(tokens.ends) else 0]}"


def matrix(features: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    """float32 (n, len(names)), columns in the order of `names`."""
    return np.stack([features[name] for name in names], axis=1)
