"""Two evaluations compared: on which queries, with what numbers, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import reports
from tribrid.answers.difference import Common
from tribrid.answers.report import QueryRow
from tribrid.config.sections import EvaluationConfig
from tribrid.errors import NotComparable
from tribrid.evaluation.difference import Evaluated, difference
from tribrid.types import JudgedQuery

CONFIG = EvaluationConfig.model_validate({"resamples": 200})
OTHER = {**reports.SMALLEST["eval_dataset"], "sha256": "ef" * 32, "version": 2}
JUDGED = [JudgedQuery(f"q{at}", f"question {at}", {f"d{at}": 1}) for at in range(8)]


def evaluated(name: str, gains: float, judged: list[JudgedQuery] | None = JUDGED, **changes: Any) -> Evaluated:
    """Query qN has ndcg@10 N/10 plus the gain."""
    rows = [
        QueryRow(
            query_id=query.query_id,
            text=query.text,
            before={"ndcg@10": 0.0},
            after={"ndcg@10": at / 10 + gains} | dict.fromkeys(changes.get("after") or (), at / 10 + gains),
        )
        for at, query in enumerate(judged or JUDGED)
    ]
    report: dict[str, Any] = {
        "evaluation_id": name,
        "corpus_id": "wiki",
        "measures": ["ndcg@10", "map"],
        "before": {"ndcg@10": 0.0},
        "after": {"ndcg@10": 0.5},
        "compared": {"before": "retrieval", "after": "challenger"},
    }
    made = reports.report(**(report | changes))
    candidates = {row.query_id: ["a"] * made.candidates.depth for row in rows[:5]}
    return Evaluated(made, rows, judged, candidates | {"q7": [name]})


def test_the_change_of_each_measure_and_query() -> None:
    a, b = evaluated("a", 0.0), evaluated("b", 0.1)
    b = replace(b, rows=[*b.rows[:3], b.rows[3].model_copy(update={"after": {"ndcg@10": 0.0}}), *b.rows[4:]])
    found = difference(a, b, CONFIG)
    assert found.common == Common(queries=8, judged_differently=0, only_a=0, only_b=0)
    assert found.measures.keys() == {"ndcg@10"}, "a measure that the reports have no values of is not made up"
    measure = found.measures["ndcg@10"]
    assert measure.a == pytest.approx(0.35)
    assert measure.delta.mean == pytest.approx(measure.b - measure.a) == pytest.approx((7 * 0.1 - 0.3) / 8)
    assert (measure.delta.wins, measure.delta.losses) == (7, 1)
    low, high = measure.delta.ci95
    assert low < measure.delta.mean < high
    assert [row.query_id for row in found.queries][:2] == ["q3", "q0"], "the largest change first"
    assert found.queries[0].delta_primary == pytest.approx(-0.3)
    assert found.notes == ()
    assert (found.total, found.primary_measure) == (8, "ndcg@10")


def test_p_values_are_corrected_for_looking_at_several_measures() -> None:
    means = {"ndcg@10": 0.5, "map": 0.5}
    a, b = evaluated("a", 0.0, after=means), evaluated("b", 0.1, after=means)
    delta = difference(a, b, CONFIG).measures["map"].delta
    assert delta.p_holm == pytest.approx(2 * delta.p_value)


def test_another_eval_dataset_is_compared_where_both_judge_alike() -> None:
    other = [
        *JUDGED[:4],
        JudgedQuery("q4", "question 4", {"d4": 1, "e": 1}),
        JudgedQuery("q5", "asked otherwise", {"d5": 1}),
        JudgedQuery("new", "new", {"d": 1}),
    ]
    b = evaluated("b", 0.1, other, eval_dataset=OTHER)
    found = difference(evaluated("a", 0.0), b, CONFIG)
    assert found.common == Common(queries=4, judged_differently=2, only_a=2, only_b=1)
    assert [row.query_id for row in found.queries] == ["q0", "q1", "q2", "q3"]
    assert found.notes[0].startswith("Their eval datasets differ: 4 queries")
    assert "5 others are left out" in found.notes[0]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ([JudgedQuery("q1", "question 1", {"x": 1})], "none of them has the same text and the same judgments"),
        ([JudgedQuery("n1", "new", {"x": 1})], "no query in common"),
        (None, "not stored any more"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(other: list[JudgedQuery] | None, reason: str) -> None:
    b = evaluated("b", 0.1, other, eval_dataset=OTHER)
    with pytest.raises(NotComparable, match=reason):
        difference(evaluated("a", 0.0), b, CONFIG)


def test_what_else_differs_is_told() -> None:
    b = evaluated(
        "b",
        0.1,
        corpus_id="other",
        candidates={"sha256": "00", "depth": 20, "recall_ceiling": 0.5},
        after=None,
        primary_measure="map",
    )
    found = difference(evaluated("a", 0.0), b, CONFIG)
    assert found.b.side == "before"
    assert found.measures["ndcg@10"].b == 0.0
    told = " ".join(found.notes)
    for said in ("two corpora", "candidates of 1 of 8 queries differ", "ndcg@10 and map", "without a trained model"):
        assert said in told


def test_an_evaluation_that_measured_nothing_is_refused() -> None:
    with pytest.raises(NotComparable, match="b measured nothing"):
        difference(evaluated("a", 0.0), evaluated("b", 0.0, before=None, after=None), CONFIG)
