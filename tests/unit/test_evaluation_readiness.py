"""Whether there is enough data, from what was found out about a corpus."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import pytest

from tribrid.evaluation.readiness import SPREAD, Known, Labels, assess, detectable, expected_gain

ENOUGH = Known(
    documents=5000,
    passages=6000,
    logs=Labels(queries=300, positives=400),
    judgments=Labels(queries=200, positives=220),
    heuristics=1000,
    coverage=0.9,
    eval_queries=300,
)


def test_enough_is_a_yes_in_words() -> None:
    found = assess(ENOUGH)
    assert (found.ready, found.answer) == (True, "yes")
    assert (found.missing, found.advice) == ((), ())
    assert "500 labelled queries" in found.summary
    assert "300 eval queries" in found.summary


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"documents": 0, "passages": 0}, "documents"),
        ({"passages": 0}, "an index"),
        ({"logs": Labels(), "judgments": Labels(), "heuristics": 0}, "labels"),
        ({"eval_queries": None}, "an eval dataset"),
        ({"eval_queries": 0}, "eval queries"),
    ],
)
def test_what_cannot_go_well_at_all_is_a_no_that_names_it(change, missing) -> None:
    found = assess(replace(ENOUGH, **change))
    assert (found.ready, found.answer) == (False, "no")
    assert found.missing[0].startswith(missing)
    assert missing in found.summary


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"logs": Labels(12, 12), "judgments": Labels()}, "38 more"),
        ({"logs": Labels(), "judgments": Labels()}, "headings"),
        ({"coverage": 0.2}, "tribrid_reranker_topn"),
        ({"eval_queries": 20}, "it would take some"),
        ({"spread": 0.6}, "it would take some"),
    ],
)
def test_what_is_unlikely_to_go_well_is_a_perhaps_that_says_what_would_help(change, advice) -> None:
    found = assess(replace(ENOUGH, **change))
    assert (found.ready, found.answer, found.missing) == (False, "perhaps", ())
    assert advice in found.advice[0]
    assert found.advice[0] in found.summary


def test_the_eval_queries_it_asks_for_are_enough() -> None:
    few = assess(replace(ENOUGH, eval_queries=20))
    wanted = int(few.advice[0].split("some ")[1].replace(",", ""))
    assert assess(replace(ENOUGH, eval_queries=wanted)).answer == "yes"
    assert assess(replace(ENOUGH, eval_queries=wanted - 2)).answer == "perhaps"


def test_the_interval_grows_with_the_queries_up_to_what_was_measured() -> None:
    gains = [expected_gain(queries) for queries in (0, 100, 250, 500, 100_000)]
    assert gains == sorted(gains)
    assert gains[0] == pytest.approx((0, 0))
    assert gains[3] == gains[4] == (0.003, 0.065)
    assert gains[1][1] / gains[3][1] == pytest.approx(0.53, abs=0.02)


def test_the_detectable_change_is_the_one_a_test_finds_four_times_out_of_five() -> None:
    """A z-test at 5 % of 400 differences whose mean is that change."""
    standard_errors = detectable(400, SPREAD) / (SPREAD / 20)
    assert 1 - NormalDist().cdf(1.96 - standard_errors) == pytest.approx(0.8, abs=0.005)
