"""Near-duplicate queries and the split that keeps them together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.lexical import near_duplicate, normalise
from tribrid.mining.splits import QUERY_SIMILARITY, QueryMatcher, content_words, newest_clusters, query_clusters

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
        ("caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me"),
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


@given(QUERIES, QUERIES)
def test_what_the_matcher_finds_is_named(queries, asked) -> None:
    matcher = QueryMatcher(queries)
    for query in asked:
        assert matcher.near(query) == sorted({normalise(other) for other in queries if similar(query, other)})


DATED = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.one_of(st.none(), st.integers(0, 9))), max_size=30)


@given(DATED, st.floats(0, 1))
def test_nothing_that_is_held_out_is_older_than_what_is_left(dated, ratio) -> None:
    clusters, observed = [cluster for cluster, _ in dated], [at for _, at in dated]
    held_out = newest_clusters(clusters, observed, ratio)
    if held_out:
        newest = [max(at for other, at in dated if other == cluster and at is not None) for cluster in held_out]
        left = [at for cluster, at in dated if cluster not in held_out and at is not None]
        assert max(left) < min(newest)


def test_the_newest_are_held_out_whole_and_in_their_share() -> None:
    clusters = [f"c{day}" for day in range(100)] + ["always"] * 5
    observed: list[int | None] = [*range(100), 3, 20, 40, 60, 98]
    held_out = newest_clusters(clusters, observed, 0.2)
    assert "always" in held_out
    assert {f"c{day}" for day in range(90, 100)} < held_out
    assert 15 <= sum(cluster in held_out for cluster in clusters) <= 21


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        ([], "there is nothing"),
        ([None, None, 1, None, None], "most have no date"),
        ([7, 7, 7, 7, 7], "all are of one moment"),
        ([1, 7, 7, 7, 7], "the newest moment is most of it"),
    ],
)
def test_dates_that_do_not_split(observed, why) -> None:
    assert newest_clusters([str(n) for n in range(len(observed))], observed, 0.2) == frozenset(), why


def test_many_queries_from_few_words_take_seconds() -> None:
    generator = random.Random(1)
    vocabulary = [f"w{i}" for i in range(2000)]
    queries = [" ".join(generator.choices(vocabulary, k=generator.randint(1, 8))) for _ in range(20_000)]
    clusters = query_clusters(queries)
    assert 15_000 < len(set(clusters)) <= 20_000
