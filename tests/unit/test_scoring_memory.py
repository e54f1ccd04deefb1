"""What is remembered of past queries, and what is not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from tribrid.encoders.onnx import FloatArray
from tribrid.scoring.memory import FAR, NAMES, Memory, PastQueries

NOBODY: frozenset[str] = frozenset()


def axis(i: int, dim: int = 4) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector: np.ndarray[tuple[int], np.dtype[np.float32]] = np.zeros(dim, np.float32)
    vector[i] = 1
    return vector


IDS = np.array([5, 6])


def past(embeddings: FloatArray) -> PastQueries:
    """Queries of these meanings; the i-th has the words i and 99."""
    return PastQueries.of(embeddings, [np.array([i, 99, 99]) for i in range(len(embeddings))])


def memory() -> Memory:
    """Query 0 was answered by a and b; query 1, its near-duplicate, and query 2 by b."""
    return Memory.of(past(np.stack([axis(0), axis(0), axis(1)])), ["x", "x", "y"], [["a", "b"], ["b"], ["b"]])


def test_what_was_good_for_a_like_query_is_remembered() -> None:
    found = memory().features(axis(0), IDS, ["a", "b", "c"], NOBODY)
    assert tuple(found) == NAMES
    assert found["memory_best"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found["memory_sum"], [1 - FAR, 2 * (1 - FAR), 0], rtol=1e-6)
    np.testing.assert_allclose(found["memory_count"], np.log1p([1, 3, 0]), rtol=1e-6)
    np.testing.assert_allclose(found["memory_mean"], [1, 2 / 3, 0], rtol=1e-6)


def test_words_in_common_are_found_whatever_order_they_are_kept_in() -> None:
    kept = PastQueries.of(np.eye(4, dtype=np.float32), [np.array(own) for own in ([7, 3, 7], [3], [], [9, 7, 1])])
    assert kept.words.tolist() == sorted(kept.words.tolist())
    turned = PastQueries.by_word(kept.embeddings, kept.words[::-1], kept.owners[::-1])
    for queries in (kept, turned):
        np.testing.assert_allclose(queries.overlaps(np.array([7, 3, 3])), [1, 1 / 2, 0, 1 / 4])
        assert queries.overlaps(np.array([], np.int64)).tolist() == [0, 0, 0, 0]
        assert queries.overlaps(np.array([2, 8])).tolist() == [0, 0, 0, 0]


def test_a_query_does_not_remember_its_own_cluster() -> None:
    found = memory().features(axis(0), IDS, ["a", "b"], frozenset({"x"}))
    assert found["memory_best"].tolist() == [0, 0]
    np.testing.assert_allclose(found["memory_count"], np.log1p([0, 1]), rtol=1e-6)


def test_leaving_a_cluster_out_is_as_if_it_never_was() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(12, 4)).astype(np.float32)
    clusters = [f"c{i % 4}" for i in range(12)]
    good = [[f"d{j}" for j in rng.choice(6, 2, replace=False)] for _ in range(12)]

    def past_of(numbers: Iterable[int]) -> PastQueries:
        return PastQueries.of(embeddings[list(numbers)], [np.array([i, i + 1]) for i in numbers])

    for out in sorted(set(clusters)):
        kept = [i for i, cluster in enumerate(clusters) if cluster != out]
        less = Memory.of(past_of(kept), [clusters[i] for i in kept], [good[i] for i in kept])
        docs = [f"d{j}" for j in range(6)]
        left_out = Memory.of(past_of(range(12)), clusters, good).features(embeddings[0], IDS, docs, frozenset({out}))
        never = less.features(embeddings[0], IDS, docs, NOBODY)
        for name in NAMES:
            np.testing.assert_allclose(left_out[name], never[name], rtol=1e-5, atol=1e-6)


def test_the_gap_is_to_the_best_remembered() -> None:
    found = memory().features(axis(0), IDS, ["a", "c"], NOBODY)
    assert found["memory_best_gap"].tolist() == [0, -1]


@pytest.mark.parametrize("docs", [[], ["a"], ["unheard-of"]])
def test_an_empty_memory_says_nothing(docs: list[str]) -> None:
    empty = Memory.of(past(np.empty((0, 4), np.float32)), [], [])
    assert all(
        not values.any() and len(values) == len(docs) for values in empty.features(axis(0), IDS, docs, NOBODY).values()
    )


def test_what_is_far_adds_nothing_to_the_sum() -> None:
    assert memory().features(axis(2), IDS, ["a", "b"], NOBODY)["memory_sum"].tolist() == [0, 0]


def test_past_queries_share_one_vote_by_likeness_in_meaning_and_in_words() -> None:
    embeddings = np.stack([axis(0), axis(0), axis(1)])
    told = Memory.of(
        PastQueries.of(embeddings, [np.array([1, 2]), np.array([3]), np.array([3])]),
        ["x", "y", "z"],
        [["a"], ["b"], ["c"]],
    )
    found = told.features(axis(0), np.array([2, 1, 1]), ["a", "b", "c", "d"], NOBODY)["memory_share"]
    assert found[0] > 0.99  # the same words and the same meaning
    assert found[1] > found[2] > 0  # the meaning alone; neither
    assert found[3] == 0
    assert found.sum() == pytest.approx(1)
