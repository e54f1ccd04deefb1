"""The features: finite for any list, of the list alone, and right where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic import DIM, VOCABULARY, candidates_of, passage_tokens, query_tokens, reading_of, unit
from tribrid.encoders.tokens import PassageTokens
from tribrid.scoring.features import CorpusStatistics, Features, compute, matrix
from tribrid.scoring.learned import Reading
from tribrid.scoring.memory import Memory, PastQueries
from tribrid.scoring.space import Space
from tribrid.types import DENSE, SPARSE

STATISTICS = CorpusStatistics(np.linspace(0.1, 5, VOCABULARY).astype(np.float32), 12.0, Space.empty(DIM, VOCABULARY))
EMPTY = Memory.of(PastQueries.of(np.empty((0, DIM), np.float32), []), [], [])


def features_of(reading: Reading, statistics: CorpusStatistics = STATISTICS, memory: Memory = EMPTY) -> Features:
    return compute(reading.tokens, reading.candidates, reading.passages, statistics, memory)


def assert_finite(reading: Reading, statistics: CorpusStatistics = STATISTICS) -> None:
    found = features_of(reading, statistics)
    for name, values in found.items():
        assert values.shape == (len(reading.candidates),), name
        assert values.dtype == np.float32, name
        assert np.isfinite(values).all(), name
    assert list(found) == list(features_of(reading_of(0)))


@pytest.mark.parametrize("seed", range(20))
def test_any_list_has_finite_features(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    assert_finite(reading_of(seed, n, int(rng.integers(0, 30)), rng.integers(0, 400, n).tolist()))


@pytest.mark.parametrize(
    ("n", "query", "lengths"),
    [
        (1, 4, [10]),
        (1, 0, [0]),
        (1, 1, [1]),
        (5, 0, [3, 0, 5, 0, 1]),
        (4, 3, [0, 0, 0, 0]),
        (3, 200, [24, 25, 12]),
        (2, 1, [12, 13]),
    ],
)
def test_the_edges_have_finite_features(n: int, query: int, lengths: list[int]) -> None:
    assert_finite(reading_of(1, n, query, lengths))


def test_equal_candidates_have_equal_features() -> None:
    rng = np.random.default_rng(0)
    passage, query = passage_tokens(rng, 9), query_tokens(rng, 4)
    legs = {DENSE: [0.5] * 3, SPARSE: [7.0] * 3}
    reading = Reading("q", query, candidates_of([0.5] * 3, legs=legs), [passage] * 3)
    assert_finite(reading)
    for name, values in features_of(reading).items():
        if name != "log_rank":
            np.testing.assert_allclose(values, values[0], atol=0.01, err_msg=name)


def test_no_leg_at_all_is_no_trouble() -> None:
    reading = reading_of(3)
    bare = [replace(candidate, legs={}, score=0.0) for candidate in reading.candidates]
    assert_finite(replace(reading, candidates=bare))


def test_ids_that_the_statistics_do_not_know_count_for_nothing() -> None:
    reading = reading_of(4)
    strange = replace(reading.tokens, ids=reading.tokens.ids + 10 * VOCABULARY)
    assert_finite(replace(reading, tokens=strange))
    assert not features_of(replace(reading, tokens=strange))["overlap"].any()
    assert_finite(reading, CorpusStatistics.count([], VOCABULARY, DIM))


def test_vectors_of_zeros_are_no_trouble() -> None:
    reading = reading_of(5)
    zero = [replace(p, codes=np.zeros_like(p.codes)) for p in reading.passages]
    assert_finite(replace(reading, passages=zero))


def test_a_title_may_be_all_there_is() -> None:
    rng = np.random.default_rng(0)
    reading = replace(reading_of(6, 2), passages=[passage_tokens(rng, 3, title=3), passage_tokens(rng, 9, title=4)])
    assert_finite(reading)
    assert features_of(reading)["body_maxsim"][0] == 0


def test_cutting_nothing_changes_no_feature() -> None:
    reading = reading_of(7)
    whole = features_of(reading)
    cut = features_of(replace(reading, passages=[p.cut(10_000) for p in reading.passages]))
    for name in whole:
        np.testing.assert_array_equal(whole[name], cut[name])


def test_a_candidate_s_own_features_do_not_depend_on_where_its_tokens_lie() -> None:
    reading = reading_of(8)
    turned = replace(reading, candidates=reading.candidates[::-1], passages=reading.passages[::-1])
    here, there = features_of(reading), features_of(turned)
    for name in set(here) - {"log_rank"}:
        np.testing.assert_allclose(here[name], there[name][::-1], atol=2e-4, err_msg=name)


def test_the_passage_that_says_the_query_stands_out() -> None:
    rng = np.random.default_rng(0)
    query = query_tokens(rng, 4)
    said = PassageTokens(query.ids, query.vectors, np.ones(4, np.float32), 0, np.arange(4), query.embedding)
    reading = Reading(
        "q", query, candidates_of([0.9, 0.8, 0.7]), [passage_tokens(rng, 30), said, passage_tokens(rng, 5)]
    )
    found = features_of(reading)
    for name in ("maxsim", "maxsim_idf", "maxsim_min", "overlap", "bigrams", "word_bm25"):
        assert found[name].argmax() == 1, name
    assert found["maxsim"][1] == pytest.approx(1, abs=1e-5)
    assert found["overlap"][1] == pytest.approx(1, abs=1e-5)
    assert found["bigrams"][1] == pytest.approx(1, abs=1e-5)


def test_a_bigram_does_not_reach_from_one_candidate_into_the_next() -> None:
    rng = np.random.default_rng(0)
    query = replace(query_tokens(rng, 2), ids=np.array([7, 9]))
    first, second = passage_tokens(rng, 1), passage_tokens(rng, 1)
    pair = [replace(first, ids=np.array([7])), replace(second, ids=np.array([9]))]
    assert not features_of(Reading("q", query, candidates_of([0.9, 0.8]), pair))["bigrams"].any()


def test_a_candidate_outside_the_dense_leg_is_as_near_as_the_last_inside() -> None:
    legs = {DENSE: [0.9, float("nan"), 0.4], SPARSE: [float("nan"), 10.0, 5.0]}
    reading = replace(reading_of(9, 3), candidates=candidates_of([0.9, 0.8, 0.7], legs=legs))
    found = features_of(reading)
    np.testing.assert_allclose(found["cosine"], [0.9, 0.4, 0.4], rtol=1e-6)
    np.testing.assert_allclose(found["bm25"], [0, 1, 0.5], rtol=1e-6)


def test_a_window_is_found_where_it_is() -> None:
    rng = np.random.default_rng(0)
    query = query_tokens(rng, 3)
    noise = unit(rng.normal(size=(100, query.vectors.shape[1])) - 2 * query.pooled)
    noise[60:84] = query.pooled
    ids, scales = np.zeros(100, np.int64), np.ones(100, np.float32)
    passage = PassageTokens(ids, noise, scales, 0, np.arange(100), query.embedding)
    found = features_of(Reading("q", query, candidates_of([0.5]), [passage]))
    assert found["window"][0] == pytest.approx(1, abs=1e-3)
    assert found["passage"][0] < 0.5


def test_statistics_are_counted_in_passages() -> None:
    rng = np.random.default_rng(0)
    passages = [replace(passage_tokens(rng, 3), ids=np.array(ids)) for ids in ([1, 1, 2], [2, 3, 4], [2, 5, 6])]
    found = CorpusStatistics.count(iter(passages), 10, DIM)
    assert found.mean_tokens == 3
    assert found.idf[2] < found.idf[1] == found.idf[3] < found.idf[0]
    assert (found.idf > 0).all()


def test_the_matrix_keeps_the_order_of_the_names() -> None:
    columns = matrix({"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32)}, ["b", "a"])
    assert columns.tolist() == [[3, 1], [4, 2]]
