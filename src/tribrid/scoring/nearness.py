"""How near a candidate is: to the query in the corpus's own space, to the best of its list, and to the others of it.

What an encoder's cosine says is read again in the space that the corpus spans (`space.py`). The list then speaks for
itself: a candidate is relevant whose neighbours are (the cluster hypothesis), and the query is pulled towards the
first few (pseudo-relevance feedback).

References:
    Jardine, van Rijsbergen: The use of hierarchic clustering in information retrieval, 1971.
    Diaz: Regularizing ad hoc retrieval scores, CIKM 2005 (scores smoothed over neighbours).
    Rocchio: Relevance feedback in information retrieval, 1971.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tribrid.encoders.onnx import FloatArray, IntArray
from tribrid.encoders.tokens import QueryTokens
from tribrid.scoring.space import Space, unit

NEIGHBOURS, NEAREST = 5, 3
"""Candidates that are asked for the fused score, and for the best known before any label."""
HEAD_SHARPNESS = 20.0
"""How much more the first of the head counts than the next: a softmax over this many times the fused score."""
GRAM = 4
_RADIX, _LAST_BITS = np.uint64(1_000_003), np.uint64(0xFFFF)
_BREAK = "\0"

Features = dict[str, FloatArray]


def standard(values: FloatArray) -> FloatArray:
    """Standard scores in the list, of one feature (n,) or of several (features, n). The addend: in a list of equals,
    rounding alone is no difference.
    """
    mean, spread = values.mean(axis=-1, keepdims=True), values.std(axis=-1, keepdims=True)
    found: FloatArray = (values - mean) / (spread + 1e-4)
    return found


def nearness(
    query: QueryTokens, vectors: FloatArray, texts: Sequence[IntArray], fused: FloatArray, space: Space, idf: FloatArray
) -> Features:
    """Features (n,) of each candidate.

    Args:
        vectors: float32 (n, dim), the candidates' passages, L2-normalised.
        texts: their vocabulary ids.
        fused: (n,), the first stage's scores.
        space: of the corpus.
        idf: float32 (vocabulary,).
    """
    asked = query.embedding
    white, white_query = space.whitened(vectors), space.whitened(asked[None])[0]
    cosine, hubness = vectors @ asked, space.hubness(vectors)
    topics = space.topics([*texts, query.ids], idf)
    head = np.argsort(-fused, kind="stable")
    standing = standard(fused)
    return {
        "exact_cosine": cosine,
        "white": white @ white_query,
        "hubness": hubness,
        "beyond_hubness": 2 * cosine - hubness,
        "topics": topics[:-1] @ topics[-1],
        "pulled": _pulled(asked, vectors, head[:3], fused),
        "pulled_wide": _pulled(asked, vectors, head[:10], fused),
        "pulled_white": _pulled(white_query, white, head[:3], fused),
        **_neighbours("", vectors, standing),
        **_neighbours("_white", white, standing),
    }


def _pulled(query: FloatArray, vectors: FloatArray, head: IntArray, fused: FloatArray) -> FloatArray:
    """Cosine to the query pulled towards the head of the list."""
    weights = np.exp(HEAD_SHARPNESS * (fused[head] - fused[head].max()))
    found: FloatArray = vectors @ unit(query + (weights / weights.sum()) @ vectors[head])
    return found


def _neighbours(name: str, vectors: FloatArray, standing: FloatArray) -> Features:
    """What a candidate's nearest in the list score, by nearness, and how near they are."""
    scores, crowd = _nearest(vectors, standing, NEIGHBOURS)
    return {f"neighbours{name}": scores, f"crowd{name}": crowd}


def smoothed(vectors: FloatArray, scores: FloatArray) -> FloatArray:
    """Of each candidate (n,), what its NEAREST in the list score, by nearness: `scores` (n,) as standard scores."""
    return _nearest(vectors, standard(scores), NEAREST)[0]


def _nearest(vectors: FloatArray, standing: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    nearest = min(most, len(vectors) - 1)
    if nearest < 1:
        nothing = np.zeros(len(vectors), np.float32)
        return nothing, nothing
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    at = np.argpartition(-similar, nearest - 1, axis=1)[:, :nearest]
    near = np.take_along_axis(similar, at, axis=1)
    weights = np.maximum(near, 0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return (weights * standing[at]).sum(axis=1), near.mean(axis=1)


def spelling(query: str, texts: Sequence[str]) -> Features:
    """Features (n,) of each text: which of the query's runs of four characters it has, of all and by rarity here.

    What one spelling or the other of a name has in common, and what a vocabulary cuts apart.
    """
    asked = np.unique(_grams(f" {query.lower()} "))
    has = np.zeros((len(texts), len(asked)), np.float32)
    if len(asked):
        parts = [f" {text.lower()} {_BREAK}" for text in texts]
        owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        grams = _grams("".join(parts))
        # Few runs of a text are the query's: most are told by their last bits.
        maybe = np.zeros(int(_LAST_BITS) + 1, bool)
        maybe[asked & _LAST_BITS] = True
        some = np.flatnonzero(maybe[grams & _LAST_BITS])
        at = np.minimum(np.searchsorted(asked, grams[some]), len(asked) - 1)
        same = asked[at] == grams[some]
        has[owners[some[same]], at[same]] = 1
    texts_with = has.sum(axis=0)
    rarity = np.log1p((len(texts) - texts_with + 0.5) / (texts_with + 0.5)).astype(np.float32)
    return {
        "grams": has.sum(axis=1) / max(len(asked), 1),
        "rare_grams": has @ rarity / max(float(rarity.sum()), 1e-9),
    }


def _grams(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A number for each run of GRAM characters, in order."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < GRAM:
        return np.zeros(0, np.uint64)
    runs = len(codes) - GRAM + 1
    found = np.zeros(runs, np.uint64)
    for start in range(GRAM):
        found = found * _RADIX + codes[start : start + runs]
    return found
