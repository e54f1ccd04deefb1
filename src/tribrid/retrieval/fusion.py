"""How two ranked legs become one list: pure functions over (passage key, score) pairs.

Scores of different kinds are never added as they are: each leg is normalised first, by a function named here.
Order everywhere, of what comes in too: score descending, then doc_id descending (trec_eval's tie-break), then
the earlier passage.
A document stands where its best passage stands (MaxP).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from tribrid.config.sections import RetrievalConfig
from tribrid.types import DENSE, FIRST_RANK, SPARSE, LegScore

Key = tuple[str, int]
"""A passage: doc_id and ordinal."""


class Hit(NamedTuple):
    """A passage and its score; what kind of score (bm25, cosine, fused) the holder says."""

    key: Key
    score: float


@dataclass(frozen=True, slots=True)
class FusedDoc:
    """A document by its best passage, or a passage. A leg that did not return it is missing from `legs`."""

    key: Key
    score: float
    legs: Mapping[str, LegScore]


@dataclass(frozen=True, slots=True)
class Legs:
    """What one query found.

    Attributes:
        hits: by leg, best first; bm25 scores in the sparse leg, cosines in the dense leg.
        cosines: of every passage in `hits`, exact.
        row_ids: where each passage of `hits` stands in the snapshot's table.
    """

    hits: Mapping[str, list[Hit]]
    cosines: Mapping[Key, float]
    row_ids: Mapping[Key, int]


def ranked(keys: Iterable[Key], scores: Iterable[float]) -> list[Hit]:
    """Keys and their scores as hits, best first."""
    return best_first(map(Hit, keys, scores))


Normalise = Callable[[Mapping[Key, float]], dict[Key, float]]


def over_maximum(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scores divided by the query's highest, so 0..1 for BM25; all 0 when the highest is not above 0."""
    highest = max(scores.values(), default=0.0)
    return {key: score / highest if highest > 0 else 0.0 for key, score in scores.items()}


def as_it_is(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scores unchanged: a cosine is on the same scale for every query."""
    return dict(scores)


# BM25 has no upper bound and grows with the query's length; a cosine is comparable across queries already.
NORMALISE: Mapping[str, Normalise] = {SPARSE: over_maximum, DENSE: as_it_is}


def best_first(hits: Iterable[Hit]) -> list[Hit]:
    """Score descending, doc_id descending, ordinal ascending."""
    hits = list(hits)
    if len({hit.score for hit in hits}) == len(hits):  # as nearly always, and then half of the time is spared
        return sorted(hits, key=itemgetter(1), reverse=True)
    return sorted(hits, key=lambda hit: (hit.score, hit.key[0], -hit.key[1]), reverse=True)


def fuse(legs: Mapping[str, Iterable[Hit]], cosines: Mapping[Key, float], config: RetrievalConfig) -> list[Hit]:
    """Every passage that some leg returned, best first, with its fused score.

    Args:
        legs: each leg's passages, best first.
        cosines: exact cosine of passages that the dense leg did not return; weighted fusion uses them, so that
            a passage's score does not hang on which leg happened to find it.
        config: `fusion`, `dense_weight`, `rrf_k`.
    """
    if config.fusion == "rrf":
        return reciprocal_rank(legs, config.rrf_k)
    return weighted(legs, cosines, {DENSE: config.dense_weight, SPARSE: 1 - config.dense_weight})


def weighted(
    legs: Mapping[str, Iterable[Hit]], cosines: Mapping[Key, float], weights: Mapping[str, float]
) -> list[Hit]:
    """Weighted sum of normalised scores. A passage below the sparse leg's depth has 0 there, in truth a little more."""
    raw = {leg: {hit.key: hit.score for hit in hits} for leg, hits in legs.items()}
    fused = dict.fromkeys((key for scores in raw.values() for key in scores), 0.0)
    if DENSE in raw:
        raw[DENSE] = {**{key: cosines[key] for key in fused if key in cosines}, **raw[DENSE]}
    for leg, scores in raw.items():
        weight = weights[leg]
        for key, score in NORMALISE[leg](scores).items():
            fused[key] += weight * score
    return best_first(map(Hit, fused, fused.values()))


def reciprocal_rank(legs: Mapping[str, Iterable[Hit]], k: int) -> list[Hit]:
    """Reciprocal rank fusion: sum over the legs of 1 / (k + rank), ranks from 1. The legs must be best first.

    References:
        Cormack, Clarke, Büttcher: Reciprocal rank fusion outperforms Condorcet and individual rank learning
        methods, SIGIR 2009.
    """
    scores: dict[Key, float] = {}
    for hits in legs.values():
        for rank, hit in enumerate(hits, FIRST_RANK):
            scores[hit.key] = scores.get(hit.key, 0.0) + 1 / (k + rank)
    return best_first(map(Hit, scores, scores.values()))


def documents(hits: Iterable[Hit]) -> list[Hit]:
    """The best passage of each document, best document first; the hits must be best first."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.key[0], hit)
    return list(best.values())


def passages(fused: Iterable[Hit], legs: Mapping[str, Iterable[Hit]], depth: int) -> list[FusedDoc]:
    """The `depth` best of the fused passages, several of a document among them, each with its own rank and score in
    each leg. Arguments as of `collapse`.
    """
    best = list(fused)[:depth]
    opinions: dict[Key, dict[str, LegScore]] = {hit.key: {} for hit in best}
    for leg, hits in legs.items():
        for rank, hit in enumerate(hits, FIRST_RANK):
            if hit.key in opinions:
                opinions[hit.key][leg] = LegScore(rank, hit.score)
    return [FusedDoc(hit.key, hit.score, opinions[hit.key]) for hit in best]


def collapse(fused: Iterable[Hit], legs: Mapping[str, Iterable[Hit]], depth: int) -> list[FusedDoc]:
    """The `depth` best documents of the fused passages, best first.

    Each leg's rank and score are the document's in that leg alone, by its best passage there.

    Args:
        fused: passages, best first.
        legs: each leg's passages, best first.
        depth: documents.
    """
    best = documents(fused)[:depth]
    opinions: dict[str, dict[str, LegScore]] = {hit.key[0]: {} for hit in best}
    for leg, hits in legs.items():
        for rank, hit in enumerate(documents(hits), FIRST_RANK):
            if hit.key[0] in opinions:
                opinions[hit.key[0]][leg] = LegScore(rank, hit.score)
    return [FusedDoc(hit.key, hit.score, opinions[hit.key[0]]) for hit in best]
