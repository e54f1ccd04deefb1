"""The space of a corpus against what numpy says of it exactly, and what is read of a list in it."""

from __future__ import annotations

import numpy as np

from synthetic import DIM, VOCABULARY, query_tokens, unit
from tribrid.scoring.nearness import nearness, smoothed, spelling
from tribrid.scoring.space import LATENT, Space

RNG = np.random.default_rng(5)
TEXTS = [RNG.integers(0, VOCABULARY, length) for length in RNG.integers(3, 30, 60)]
VECTORS = list(unit(RNG.normal(size=(60, DIM)) * np.linspace(1, 4, DIM) + 1))
IDF = RNG.uniform(0.5, 3, VOCABULARY).astype(np.float32)
SPACE = Space.of(VECTORS, TEXTS, IDF)


def test_topics_are_those_of_the_exact_decomposition() -> None:
    rows = np.zeros((len(TEXTS), VOCABULARY))
    for row, text in zip(rows, TEXTS, strict=True):
        ids, counts = np.unique(text, return_counts=True)
        row[ids] = (1 + np.log(counts)) * IDF[ids]
    exact = np.linalg.svd(unit(rows), full_matrices=False)[2][:LATENT].T
    expected, found = unit(rows @ exact), SPACE.topics(TEXTS, IDF)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=5e-3)  # half precision


def test_a_whitened_corpus_is_spread_evenly() -> None:
    turned = (np.stack(VECTORS) - SPACE.centre) @ SPACE.whitening
    spread = turned.std(axis=0)
    assert spread.max() / spread.min() < 1.5
    assert np.stack(VECTORS).std(axis=0).max() / np.stack(VECTORS).std(axis=0).min() > 2


def test_what_is_kept_is_what_was_counted_with() -> None:
    again = Space.from_arrays(SPACE.arrays())
    np.testing.assert_array_equal(again.topics(TEXTS, IDF), SPACE.topics(TEXTS, IDF))
    np.testing.assert_array_equal(again.hubness(np.stack(VECTORS)), SPACE.hubness(np.stack(VECTORS)))


def test_passages_without_a_word_have_no_topic() -> None:
    nothing = np.zeros(0, np.int64)
    space = Space.of(VECTORS[:2], [nothing, nothing], IDF)
    assert not space.topics([nothing, TEXTS[0]], IDF).any()


def test_a_candidate_is_lifted_by_good_neighbours() -> None:
    query = query_tokens(RNG, 3)
    good, bad = unit(RNG.normal(size=(2, DIM)))
    vectors = unit(np.stack([good, good, good, bad, bad, good]) + RNG.normal(size=(6, DIM)) * 0.05)
    fused = np.array([0.9, 0.9, 0.8, 0.1, 0.1, 0.1], np.float32)
    found = nearness(query, vectors, TEXTS[:6], fused, SPACE, IDF)
    assert found["neighbours"][5] > found["neighbours"][3]
    assert found["pulled"][5] > found["pulled"][3]


def test_what_neighbours_score_does_not_depend_on_the_scale_of_the_scores() -> None:
    good, bad = unit(RNG.normal(size=(2, DIM)))
    vectors = unit(np.stack([good, good, good, bad, bad, good, bad]) + RNG.normal(size=(7, DIM)) * 0.05)
    scores = np.array([3.0, 2.5, 2.0, -1.0, -1.5, -2.0, 2.0], np.float32)
    found = smoothed(vectors, scores)
    assert found[5] > 0 > found[6]
    np.testing.assert_allclose(smoothed(vectors, 10 * scores + 7), found, atol=1e-3)
    assert not smoothed(vectors[:1], scores[:1]).any()


def test_spellings_are_runs_of_four_characters() -> None:
    found = spelling("readFile", ["it calls readfiles here", "nothing of it", "READFILE"])["grams"]
    assert found[2] == 1.0
    assert found[2] > found[0] > found[1] == 0
    assert not spelling("", ["a"])["grams"].any()
