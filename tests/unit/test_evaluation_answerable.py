"""Queries without an answer: how well the best score tells them apart, and what a threshold on it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from compared import make_inputs
from tribrid.answers.calibration import ScoreOrder
from tribrid.evaluation.answerable import answerable, area_interval, is_answerless
from tribrid.evaluation.report import build_report
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc


def queries(answered: int, without: int) -> list[JudgedQuery]:
    return [
        *(JudgedQuery(f"a{n:03}", f"a{n}", {"x": 1}) for n in range(answered)),
        *(JudgedQuery(f"n{n:03}", f"n{n}", {"x": 0}) for n in range(without)),
    ]


def run(asked: list[JudgedQuery], apart: float) -> dict[str, list[ScoredDoc]]:
    rng = np.random.default_rng(1)
    return {
        query.query_id: [ScoredDoc("x", float(rng.normal(apart * query.has_positive))), ScoredDoc("y", -9.0)]
        for query in asked
    }


def test_nobody_has_looked_is_not_that_there_is_no_answer() -> None:
    assert is_answerless(JudgedQuery("q", "q", {"a": 0}))
    assert not is_answerless(JudgedQuery("q", "q", {}))
    assert not is_answerless(JudgedQuery("q", "q", {"a": 0, "b": 2}))
    unjudged = JudgedQuery("u", "u", {})
    asked = [*queries(20, 0), unjudged]
    assert answerable("s", run(asked, 1.0), asked) is None


def test_scores_that_tell_them_apart_and_scores_that_do_not() -> None:
    asked = queries(200, 60)
    apart, blind = (answerable("s", run(asked, by), asked) for by in (3.0, 0.0))
    assert apart is not None
    assert blind is not None
    assert apart.auroc > 0.95
    assert blind.auroc_ci95[0] < 0.5 < blind.auroc_ci95[1]
    assert (apart.with_answer, apart.without_answer, apart.held_out) == (200, 60, True)
    assert apart.precision is not None
    assert apart.precision > 0.95
    assert apart.recall > 0.85
    assert blind.precision == pytest.approx(200 / 260, abs=0.1)
    assert "60 queries have no answer here" in apart.told


def test_a_threshold_that_was_set_is_measured_as_it_is() -> None:
    asked = queries(10, 10)
    scores = {q.query_id: [ScoredDoc("x", 0.9 if q.has_positive or q.query_id < "n003" else 0.1)] for q in asked}
    found = answerable("s", scores, asked, 0.5)
    assert found is not None
    assert (found.by, found.threshold, found.held_out) == ("setting", 0.5, False)
    assert (found.precision, found.recall) == (10 / 13, 1.0)
    nothing = answerable("s", scores, asked, 2.0)
    assert nothing is not None
    assert (nothing.precision, nothing.recall) == (None, 0.0)


@pytest.mark.parametrize("true", [0.6, 0.9])
def test_the_interval_holds_the_true_area_nineteen_times_out_of_twenty(true: float) -> None:
    from scipy.special import ndtri

    from tribrid.evaluation.calibration import auc

    rng, held = np.random.default_rng(5), 0
    for _ in range(400):
        scores = np.concatenate([rng.normal(np.sqrt(2) * ndtri(true), 1, 40), rng.normal(0, 1, 15)])
        area = auc(scores, np.arange(55) < 40)
        assert area is not None
        low, high = area_interval(area, 40, 15)
        held += low <= true <= high
    assert held / 400 == pytest.approx(0.95, abs=0.035)


def test_the_interval_of_a_perfect_order_has_a_width() -> None:
    assert area_interval(1.0, 30, 5)[1] == 1.0
    assert 0.6 < area_interval(1.0, 30, 5)[0] < area_interval(1.0, 300, 50)[0] < 1


def test_scores_compare_between_queries_or_not_in_one_sentence() -> None:
    assert ScoreOrder(within_queries=0.9, across_queries=0.86).comparable is True
    assert ScoreOrder(within_queries=0.9, across_queries=0.84).comparable is False
    assert ScoreOrder(within_queries=None, across_queries=0.84).comparable is None
    assert "do not compare between queries" in ScoreOrder(within_queries=0.9, across_queries=0.7).told
    assert "90%" in ScoreOrder(within_queries=0.9, across_queries=0.88).told


def test_a_report_says_how_queries_without_an_answer_are_told_apart() -> None:
    inputs = make_inputs()
    assert build_report(inputs).summary.answerable is None  # its one query without an answer was not ranked
    ids = [f"none{n}" for n in range(12)]
    asked = (*inputs.dataset.queries, *(JudgedQuery(name, name, {f"{name}_0": 0}) for name in ids))
    lists = {name: [f"{name}_{rank}" for rank in range(15)] for name in ids}
    systems = {
        system: {**of, **{name: [ScoredDoc(doc, -5.0 - at) for at, doc in enumerate(lists[name])] for name in ids}}
        for system, of in inputs.systems.items()
    }
    candidates = inputs.candidates.__class__(15, "cd" * 32, {**inputs.candidates.doc_ids, **lists})
    dataset = EvalDataset("ab" * 32, 2, "wiki", asked, "nDCG@10", 0)
    report = build_report(make_inputs(dataset=dataset, systems=systems, candidates=candidates)).summary
    assert report.answerable is not None
    assert (report.answerable.system, report.answerable.without_answer) == ("challenger", 12)
    assert report.answerable.auroc == 1.0
    assert report.primary_delta == build_report(inputs).summary.primary_delta  # no measure reads them
