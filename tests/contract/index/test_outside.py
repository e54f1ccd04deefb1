"""Passages that came with a request, scored as the index scores its own."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.config.sections import RetrievalConfig
from tribrid.corpus.terms import query_terms, terms
from tribrid.retrieval.index import Index
from tribrid.retrieval.indexer import passage_terms
from tribrid.retrieval.outside import GivenPassage, rank_given
from tribrid.retrieval.weights import TermWeights
from tribrid.types import SPARSE, Passage

_TEXT = (
    "renewing renewal certificates relational conditionally because themselves does having underlying skies generously "
    "readFile read_file os.path Naïve Ünï café 3D x2 proceeds happily vietnamization the and very other"
)
WORDS = _TEXT.split()
QUERIES = ["certificates renewed", "the relational underlying skies because", "read file in os path", "cafe naive CAFE"]
QUERIES += ["generous generosity generously", "vietnam happy other very", "nothing here", "3d x2 x2 x2"]


def passages(count: int) -> list[Passage]:
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, int(rng.integers(3, 40)))) for _ in range(count)]
    return [Passage(f"d{i:03}", 0, 0, len(text), "A title"[: i % 8], text) for i, text in enumerate(texts)]


def publish(index: Index, found: list[Passage], vectors: np.ndarray) -> None:
    with index.writer("f", vectors.shape[1]) as writer:
        writer.add(
            found,
            lexical=[" ".join(passage_terms(passage)) for passage in found],
            vectors=vectors,
            content_shas=["sha"] * len(found),
            tokens=[b""] * len(found),
        )
        writer.publish()


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found


@pytest.fixture
def published(index):
    found, vectors = passages(120), unit(np.random.default_rng(1).normal(size=(120, 8)))
    publish(index, found, vectors)
    return index.snapshot(), found, vectors


@pytest.mark.parametrize("query", QUERIES)
def test_bm25_of_any_text_is_that_of_the_index(published, query: str) -> None:
    snapshot, found, _ = published
    theirs = {hit.key[0]: hit.score for hit in snapshot.bm25(query, len(found))}
    for passage in found:
        ours = snapshot.weights.score(query_terms(query), passage_terms(passage))
        assert ours == pytest.approx(theirs.get(passage.doc_id, 0.0), rel=1e-3, abs=1e-4), passage.text


@pytest.mark.parametrize("fusion", ["weighted", "rrf"])
@pytest.mark.parametrize("known", [True, False])
def test_what_a_search_finds_is_ranked_alike(published, known: bool, fusion: str) -> None:
    snapshot, found, vectors = published
    config = RetrievalConfig.model_validate({"fusion": fusion, "leg_depth": 20})
    vector = unit(np.random.default_rng(5).normal(size=8))
    given = [GivenPassage(i, p, vectors[i], p.key if known else None) for i, p in enumerate(found)]
    ranked = rank_given(snapshot, QUERIES[0], vector, given, snapshot.weights, config, 20)
    assert sorted(at for at, _ in ranked) == list(range(len(found)))
    legs = snapshot.legs(QUERIES[0], vector, 20)
    dense, sparse = (dict.fromkeys(hit.key[0] for hit in legs.hits[leg]) for leg in ("dense", "sparse"))
    for at, candidate in ranked:
        assert candidate.passage is found[at]
        if known:  # scores on the edge of a leg may be in it or not where they were computed apart
            assert ("dense" in candidate.legs, "sparse" in candidate.legs) == (
                candidate.doc_id in dense,
                candidate.doc_id in sparse,
            )
    fused = [candidate.score for _, candidate in ranked]
    assert fused == sorted(fused, reverse=True)
    some = rank_given(snapshot, QUERIES[0], vector, given[40:60], snapshot.weights, config, 20)
    apart = {candidate.doc_id: candidate.score for _, candidate in ranked}
    if known or fusion == "weighted":
        assert [c.score for _, c in some] == pytest.approx([apart[c.doc_id] for _, c in some], rel=1e-3)


def test_without_an_index_the_texts_say_what_words_are_worth() -> None:
    found, vectors = passages(30), unit(np.random.default_rng(1).normal(size=(30, 8)))
    weights = TermWeights.of_texts([passage_terms(passage) for passage in found])
    given = [GivenPassage(i, passage, vectors[i]) for i, passage in enumerate(found)]
    ranked = rank_given(None, "skies", vectors[3], given, weights, RetrievalConfig(), 50)  # type: ignore[call-arg]
    assert sorted(at for at, _ in ranked) == list(range(30))
    assert all((SPARSE in c.legs) == ("sky" in terms(c.passage.text)) for _, c in ranked)
