"""What the measures refuse, exclude and recommend. Their numbers are checked in tests/oracle/test_measures.py."""

from __future__ import annotations

import math

import pytest

from tribrid.errors import EvaluationFailed, InvalidInput
from tribrid.evaluation.measures import (
    MEASURES,
    evaluable,
    explain_primary,
    means,
    measure_name,
    oracle,
    per_query,
    primary_name,
    recall_ceiling,
    recommend_primary,
    report_key,
    reported,
)
from tribrid.types import JudgedQuery, ScoredDoc


def judged(query_id: str, **grades: int) -> JudgedQuery:
    return JudgedQuery(query_id, f"text of {query_id}", grades)


def ranked(*doc_ids: str) -> list[ScoredDoc]:
    return [ScoredDoc(doc_id, float(-at)) for at, doc_id in enumerate(doc_ids)]


def test_hand_computed() -> None:
    values = per_query({"q": ranked("x", "a", "y", "b")}, [judged("q", a=1, b=1, c=1, y=0)])
    assert {key: of["q"] for key, of in values.items()} == pytest.approx(
        {
            "mrr@10": 1 / 2,
            "recall@5": 2 / 3,
            "recall@10": 2 / 3,
            "recall@20": 2 / 3,
            # The ideal counts c as well, which the run never found.
            "ndcg@10": (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4)),
            "map": (1 / 2 + 2 / 4) / 3,
            "judged@10": 3 / 4,
        }
    )


@pytest.mark.parametrize("run", [{}, {"q": []}, {"other": ranked("a")}])
def test_a_query_the_run_missed_has_zero(run: dict[str, list[ScoredDoc]]) -> None:
    assert per_query(run, [judged("q", a=1)]) == {key: {"q": 0.0} for key in MEASURES}


def test_a_query_without_a_positive_is_left_out() -> None:
    queries = [judged("b", a=1), judged("none", a=0), judged("empty"), judged("a", x=2)]
    assert [query.query_id for query in evaluable(queries)] == ["a", "b"]
    assert list(per_query({"none": ranked("a")}, queries)["map"]) == ["a", "b"]
    assert per_query({"none": ranked("a")}, [judged("none", a=0)]) == {key: {} for key in MEASURES}
    assert set(means(per_query({}, []) | {}).values()) == {0.0}


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_fails(score: float) -> None:
    with pytest.raises(EvaluationFailed, match="'d2' for query 'q' is not a finite number"):
        per_query({"q": [ScoredDoc("d1", 1.0), ScoredDoc("d2", score)]}, [judged("q", d1=1)])


def test_a_document_ranked_twice_fails() -> None:
    with pytest.raises(EvaluationFailed, match="more than once"):
        per_query({"q": ranked("a", "b", "a")}, [judged("q", a=1)])


def test_measures_go_by_either_name() -> None:
    assert report_key("nDCG@10") == report_key("ndcg@10") == "ndcg@10"
    assert {report_key(name) for name in MEASURES.values()} == set(MEASURES)
    assert set(per_query({}, [judged("q", a=1)], ["AP", "mrr@10"])) == {"map", "mrr@10"}


@pytest.mark.parametrize(
    ("given", "name", "key"),
    [
        ("nDCG@7", "nDCG@7", "ndcg@7"),
        ("NDCG@7", "nDCG@7", "ndcg@7"),
        ("MRR", "RR", "mrr"),
        ("recall@50", "R@50", "recall@50"),
        ("Precision@5", "P@5", "precision@5"),
        ("Success@1", "Success@1", "success@1"),
        ("MAP", "AP", "map"),
        ("AP(rel=2)@100", "AP(rel=2)@100", "map-rel-2@100"),
        ("nDCG(dcg='exp-log2')@10", "nDCG(dcg='exp-log2')@10", "ndcg-dcg-exp-log2@10"),
    ],
)
def test_any_measure_of_ir_measures_is_taken_by_its_name(given: str, name: str, key: str) -> None:
    assert (measure_name(given), report_key(given)) == (name, key)
    assert reported(given) == {**MEASURES, key: name}
    assert set(per_query({}, [judged("q", a=1)], [given])) == {key}


@pytest.mark.parametrize(
    "name",
    [
        "AP(rel=2)@100",
        "nDCG(dcg='exp-log2')@10",
        "P(rel=2,judged_only=True)@5",
        "Compat(p=0.8)",
        "IPrec@0.5",
        *MEASURES,
    ],
)
def test_the_name_that_is_shown_is_taken_as_well(name: str) -> None:
    assert measure_name(report_key(name)) == measure_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "map-rel",
        "map-2",
        "ndcg-gains-1-3@10",
        "nDCG@0",
        "nDCG@-1",
        "R",
        "P@x",
        "Foo@3",
        "AP(rel=0)",
        "NumRet",
        "R@True",
        "",
        "RR@10; x",
        "__import__('os')",
    ],
)
def test_a_name_without_a_measure_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"no measure .*ndcg@10") as caught:
        measure_name(name)
    assert caught.value.facts["measure"] == name


def test_what_was_judged_cannot_decide() -> None:
    assert primary_name("success@1") == "Success@1"
    with pytest.raises(InvalidInput, match="judged@5 says how much was judged"):
        primary_name("Judged@5")


def test_graded_measures_by_hand() -> None:
    query, run = judged("q", a=3, b=1, c=0), {"q": ranked("b", "x", "a")}
    exponential, precision, strict = "ndcg-dcg-exp-log2@10", "precision@2", "mrr-rel-2"
    values = per_query(run, [query], ["nDCG(dcg='exp-log2')@10", "P@2", "RR(rel=2)"])
    ideal = 7 + 1 / math.log2(3)
    assert values[exponential]["q"] == pytest.approx((1 + 7 / math.log2(4)) / ideal)
    assert values[precision]["q"] == 0.5
    assert values[strict]["q"] == pytest.approx(1 / 3)
    with pytest.raises(EvaluationFailed, match="power of the grade"):
        per_query(run, [judged("q", a=40)], ["nDCG(dcg='exp-log2')@10"])


def test_oracle_is_the_best_order_of_the_candidates() -> None:
    queries = [judged("q", a=1, b=3, c=0, missing=3)]
    candidates = {"q": ["x", "a", "c", "b"]}
    best = oracle(candidates, queries)
    assert [doc.doc_id for doc in best["q"]] == ["b", "a", "x", "c"]
    value = per_query(best, queries)["ndcg@10"]["q"]
    others = per_query({"q": ranked("b", "x", "a", "c")}, queries)["ndcg@10"]["q"]
    assert others < value < 1.0
    assert recall_ceiling(candidates, queries) == pytest.approx(2 / 3)
    assert oracle({}, queries) == {"q": []}
    assert recall_ceiling({}, [judged("q")]) == 0.0


@pytest.mark.parametrize(
    ("queries", "reason"),
    [
        ([judged("q", a=2, b=1)], "graded"),
        ([judged("q", a=1, b=1), judged("p", a=1)], "several relevant documents"),
        ([judged("q", a=1, b=0), judged("p", c=1)], "one relevant document"),
    ],
)
def test_primary_measure_is_recommended_with_a_reason(queries: list[JudgedQuery], reason: str) -> None:
    assert recommend_primary(queries) == "ndcg@10"
    assert reason in explain_primary(queries)


def test_nothing_to_recommend_without_a_positive() -> None:
    with pytest.raises(InvalidInput, match="nothing to measure"):
        recommend_primary([judged("q", a=0)])
