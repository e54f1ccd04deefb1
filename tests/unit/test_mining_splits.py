"""Near-duplicate queries and the split that keeps them together."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.lexical import near_duplicate
from tribrid.mining.splits import QUERY_SIMILARITY, QueryMatcher, content_words, query_clusters, split_dev

WORDS = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "the", "of", "to", "is", "x1"]), max_size=12)
QUERIES = st.lists(WORDS.map(" ".join), max_size=25)


def similar(a: str, b: str) -> bool:
    one, other = content_words(a), content_words(b)
    return len(one & other) >= QUERY_SIMILARITY * len(one | other) or near_duplicate(a, b, QUERY_SIMILARITY)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How to sort a list?", "how to sort the LIST"),
        ("python list sort", "sort python lists"),
        ("  What   is BM25 ", "what is bm25"),
        ("0-dimensional biomaterials lack all of their inductive signal properties in bone tissue repair",
         "0-dimensional biomaterials show all of their inductive signal properties in bone tissue repair"),
        ("向量检索怎么用", "向量检索 怎么用?"),
    ],
)  # fmt: skip
def test_one_query_in_other_words_is_one_cluster(a, b) -> None:
    first, second = query_clusters([a, b])
    assert first == second
    assert QueryMatcher([a]).matches(b)
    assert QueryMatcher([b]).matches(a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sort a list", "sort a tuple"),
        ("xbox 360 kinect bundle", "xbox 360 bundle"),
        ("the", "of"),
        ("???", "!!!"),
        ("", "x"),
    ],
)
def test_other_queries_are_kept_apart(a, b) -> None:
    first, second = query_clusters([a, b])
    assert first != second
    assert not QueryMatcher([a]).matches(b)


def test_a_query_without_words_equals_itself() -> None:
    assert QueryMatcher(["???"]).matches(" ??? ")
    assert not QueryMatcher([]).matches("anything")


def test_similarity_chains() -> None:
    words = [f"w{number}" for number in range(10)]
    chain = [" ".join(words[: n + 5]) for n in range(6)]
    assert len(set(query_clusters(chain))) == 1
    assert not similar(chain[0], chain[-1])


@given(QUERIES)
def test_clusters_are_the_connected_components_of_similarity(queries) -> None:
    clusters = query_clusters(queries)
    component = list(range(len(queries)))
    for i, a in enumerate(queries):
        for j in range(i):
            if similar(a, queries[j]):
                old, new = component[i], component[j]
                component = [new if c == old else c for c in component]
    for i in range(len(queries)):
        for j in range(i):
            assert (clusters[i] == clusters[j]) == (component[i] == component[j])


@given(QUERIES, WORDS.map(" ".join))
def test_the_matcher_finds_exactly_what_is_similar(queries, query) -> None:
    assert QueryMatcher(queries).matches(query) == any(similar(query, other) for other in queries)


@given(QUERIES, st.randoms(use_true_random=False))
def test_cluster_ids_do_not_depend_on_order_or_repeats(queries, shuffler) -> None:
    by_text = dict(zip(queries, query_clusters(queries), strict=True))
    shuffled = queries + queries[:2]
    shuffler.shuffle(shuffled)
    assert dict(zip(shuffled, query_clusters(shuffled), strict=True)) == by_text


@given(QUERIES, st.floats(0.01, 0.5), st.integers(0, 5))
def test_no_cluster_and_no_near_duplicate_stands_on_both_sides(queries, ratio, seed) -> None:
    clusters = query_clusters(queries)
    dev = split_dev(clusters, ratio, seed)
    held_out = [query for query, cluster in zip(queries, clusters, strict=True) if cluster in dev]
    training = [query for query, cluster in zip(queries, clusters, strict=True) if cluster not in dev]
    assert not any(similar(a, b) for a in held_out for b in training)
    if len(set(clusters)) > 1:
        assert held_out
        assert training


def test_the_split_has_its_share_whatever_the_sizes() -> None:
    clusters = [f"c{i}" for i in range(80)] + ["big"] * 20
    sizes = Counter(clusters)
    for seed in range(10):
        dev = split_dev(clusters, 0.2, seed)
        assert 15 <= sum(sizes[c] for c in dev) <= 20
    assert split_dev(clusters, 0.2, 1) == split_dev(list(reversed(clusters)), 0.2, 1)
    assert split_dev(clusters, 0.2, 1) != split_dev(clusters, 0.2, 2)


def test_a_split_that_cannot_be_made() -> None:
    assert split_dev([], 0.2, 1) == frozenset()
    assert split_dev(["only"] * 5, 0.2, 1) == frozenset()
    assert split_dev(["big"] * 9 + ["small"], 0.05, 1) == {"small"}


def test_many_queries_from_few_words_take_seconds() -> None:
    generator = random.Random(1)
    vocabulary = [f"w{i}" for i in range(2000)]
    queries = [" ".join(generator.choices(vocabulary, k=generator.randint(1, 8))) for _ in range(20_000)]
    clusters = query_clusters(queries)
    assert 15_000 < len(set(clusters)) <= 20_000
