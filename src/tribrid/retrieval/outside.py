"""First-stage scores of passages that came with a request, on the scale of the corpus's index.

A passage that the index holds gets what a search would give it. Any other is scored as if it were in it: its cosine,
and BM25 with the index's term weights and mean length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tribrid.config.sections import RetrievalConfig
from tribrid.corpus.terms import query_terms
from tribrid.retrieval.fusion import Hit, Key, Legs, best_first, collapse, fuse
from tribrid.retrieval.indexer import passage_terms
from tribrid.retrieval.rows import Vector
from tribrid.retrieval.snapshot import Snapshot
from tribrid.retrieval.weights import TermWeights
from tribrid.types import DENSE, FIRST_RANK, SPARSE, Candidate, Passage

_ROUNDING = 1e-6  # between two float32 cosines of the same vectors, added up in another order
WORDLESS = -20.0
"""Score of a document without text, for which an encoder finds a vector too: below any cosine, and as a logit beside a
cross-encoder's a probability of nothing."""


@dataclass(frozen=True, slots=True)
class GivenPassage:
    """A passage of a document that came with a request.

    Attributes:
        document: number of the document among those of the request.
        passage: with the document's own doc_id.
        vector: float32 (dim,), L2-normalised.
        key: of the same passage in the index; None where the index does not hold it.
    """

    document: int
    passage: Passage
    vector: Vector
    key: Key | None = None


def rank_given(
    snapshot: Snapshot | None,
    query: str,
    vector: Vector,
    given: Sequence[GivenPassage],
    weights: TermWeights,
    config: RetrievalConfig,
    depth: int,
) -> list[tuple[int, Candidate]]:
    """Every document of `given` once, by its best passage, best first: the position of that passage in `given`, and
    the candidate that a search of the corpus would have made of it. Those without text come last.

    Args:
        depth: of the search, documents; a passage that would not have been in a leg is not in it here.
    """
    k = max(config.leg_depth, depth)
    legs = snapshot.legs(query, vector, k) if snapshot else Legs({SPARSE: [], DENSE: []}, {}, {})
    # Of equals the one that was given first comes first: names count down, and order is by name descending.
    last = len(given)
    keys = [(f"\0{last - item.document:09}", position) for position, item in enumerate(given)]
    cosines = {
        key: float(item.vector @ vector) for key, item in zip(keys, given, strict=True) if has_words(item.passage)
    }
    bm25 = _bm25(legs, query_terms(query), given, keys, weights)
    merged = {
        SPARSE: _merged(legs.hits[SPARSE], {key: score for key, score in bm25.items() if score > 0}, given, k),
        DENSE: _merged(legs.hits[DENSE], cosines, given, k),
    }
    fused = {hit.key: hit for hit in fuse(merged, {**legs.cosines, **cosines}, config)}
    outside = config.dense_weight if config.fusion == "weighted" else 0.0
    own = best_first(fused.get(key) or Hit(key, outside * cosines[key] if key in cosines else WORDLESS) for key in keys)
    return [
        (document.key[1], Candidate(given[document.key[1]].passage, rank, document.score, document.legs))
        for rank, document in enumerate(collapse(own, merged, len(given)), FIRST_RANK)
    ]


def has_words(passage: Passage) -> bool:
    """Whether there is anything to read."""
    return bool(passage.title.strip() or passage.text.strip())


def _bm25(
    legs: Legs,
    query: Sequence[str],
    given: Sequence[GivenPassage],
    keys: Sequence[Key],
    weights: TermWeights,
) -> Mapping[Key, float]:
    found = {hit.key: hit.score for hit in legs.hits[SPARSE]}
    return {
        key: found.get(item.key, 0.0) if item.key is not None else weights.score(query, passage_terms(item.passage))
        for key, item in zip(keys, given, strict=True)
    }


def _merged(hits: Sequence[Hit], own: Mapping[Key, float], given: Sequence[GivenPassage], k: int) -> list[Hit]:
    """A leg with the given passages in it that would be among its k best, each once."""
    same = {item.key for item in given if item.key is not None}
    least = hits[-1].score - _ROUNDING if len(hits) >= k else -math.inf
    others = [hit for hit in hits if hit.key not in same]
    return best_first([*others, *(Hit(key, score) for key, score in own.items() if score >= least)])
