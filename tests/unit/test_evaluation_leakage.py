"""Eval queries in the training data: found word for word and nearly, at any size, and by a matcher handed in."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counting import calls_of
from tribrid.answers.report import Leakage
from tribrid.corpus.lexical import near_duplicate, normalise
from tribrid.evaluation.leakage import NEAR, leakage
from tribrid.types import Query

LONG = "does vitamin d lower the risk of a fracture of the hip in women over sixty who live in nursing homes"


def queries(*texts: str) -> list[Query]:
    return [Query(f"q{at}", text) for at, text in enumerate(texts)]


def test_same_words_and_nearly_the_same() -> None:
    evaluated = queries("How do I open a  FILE?", LONG + " today", "parse json", "something else entirely")
    found = leakage(evaluated, ["how do i open a file?", LONG, "parse xml", "parse xml"])
    assert found == Leakage(overlapping=("q0", "q1"), exact=1, checked=3, eval_queries=4)


def test_nothing_to_compare() -> None:
    assert leakage([], ["a"]) == Leakage(overlapping=(), exact=0, checked=1, eval_queries=0)
    assert leakage(queries("a"), []) == Leakage(overlapping=(), exact=0, checked=0, eval_queries=1)
    assert leakage(queries("", "?"), ["!"]).overlapping == ()


class SameSet:
    """Sees through word order."""

    def __init__(self, texts: list[str]) -> None:
        self._known = {frozenset(text.split()) for text in texts}

    def matches(self, query: str) -> bool:
        return frozenset(query.split()) in self._known


def test_a_matcher_replaces_the_shingles() -> None:
    training = ["file open python"]
    assert leakage(queries("python open file"), training).overlapping == ()
    found = leakage(queries("python open file"), training, SameSet(training))
    assert (found.overlapping, found.exact) == (("q0",), 0)


words = st.lists(st.sampled_from("abcd"), min_size=0, max_size=12).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(words, st.lists(words, max_size=6))
def test_the_index_finds_what_comparing_all_pairs_finds(text: str, training: list[str]) -> None:
    expected = any(normalise(text) == normalise(other) or near_duplicate(text, other, NEAR) for other in training)
    assert bool(leakage(queries(text), training).overlapping) == expected


@pytest.mark.slow
def test_ten_thousand_against_ten_thousand() -> None:
    generator = random.Random(1)
    vocabulary = [f"w{at}" for at in range(2000)]

    def text() -> str:
        return "how do i " + " ".join(generator.choices(vocabulary, k=9))

    training = [text() for _ in range(10_000)]
    evaluated = queries(*[text() for _ in range(9_990)], *training[:10])
    found, calls = calls_of(lambda: leakage(evaluated, training))
    assert len(found.overlapping) == 10
    assert calls.total() < 100 * (len(evaluated) + len(training)), "not in proportion to the pairs, of which 10^8 are"
