"""The report: the contract's shape, numbers that agree with the parts, refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from compared import DEPTH, QUERIES, STRENGTH, make_inputs
from tribrid.answers.changes import Guard, Verdict
from tribrid.answers.report import (
    EvalDatasetFacts,
    EvaluationReport,
    Fallbacks,
    Latency,
    Leakage,
    Origin,
    QueryRow,
    System,
)
from tribrid.config.sections import GateConfig
from tribrid.errors import EvaluationFailed, InvalidInput
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.inputs import EvaluationInputs
from tribrid.evaluation.measures import MEASURES, Run, means, per_query
from tribrid.evaluation.report import Report, build_report
from tribrid.evaluation.slices import SEEN, UNSEEN
from tribrid.report.page import render_html
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc, rank_order


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(make_inputs())


def system(report: Report, name: str) -> System:
    found = report.summary.systems[name]
    assert found is not None
    return found


def guards(summary: EvaluationReport) -> tuple[Guard, ...]:
    assert summary.gate is not None
    return summary.gate.guards


def without(name: str) -> dict[str, Run]:
    return {system: run for system, run in make_inputs().systems.items() if system != name}


def test_the_contracts_shape(report: Report) -> None:
    summary = report.summary
    assert summary.eval_dataset == EvalDatasetFacts(sha256="ab" * 32, version=2, queries=61, judgments=121, excluded=1)
    found = summary.candidates
    assert (found.depth, found.sha256, found.recall_ceiling) == (DEPTH, "cd" * 32, 1.0)
    assert summary.delta is not None
    assert set(summary.before or ()) == set(summary.after or ()) == set(summary.delta) == set(MEASURES)
    assert set(summary.systems) == {*STRENGTH, "champion", "oracle"}
    assert summary.systems["champion"] is None
    assert system(report, "oracle").means["ndcg@10"] == pytest.approx(1.0)
    assert summary.verdict.decision == "promote"
    assert (summary.latency_ms.p50, summary.latency_ms.queries) == (2.5, 4)
    assert summary.latency_ms.p95 == pytest.approx(85.45)
    assert (summary.cost.usd, summary.cost.compute_s) == (0.0, 1.5)
    assert summary.fallbacks == Fallbacks(count=0, reasons={})
    assert (summary.primary_measure, summary.evaluation_id) == ("ndcg@10", "e1")


def test_the_json_has_the_promised_keys(report: Report) -> None:
    summary = json.loads(report.summary.model_dump_json())
    promised = "eval_dataset candidates before after systems delta verdict latency_ms cost fallbacks leakage"
    assert set(promised.split()) <= summary.keys()
    assert {"sha256", "queries", "judgments", "excluded"} <= summary["eval_dataset"].keys()
    assert {"depth", "sha256", "recall_ceiling"} <= summary["candidates"].keys()
    assert set(summary["delta"]["map"]) >= {"mean", "ci95", "p_value", "wins", "losses", "ties"}
    assert set(summary["systems"]["oracle"]) == {*MEASURES, "ci95", "after_minus"}
    assert {"retrieval", "base", "champion", "challenger", "oracle"} <= summary["systems"].keys()
    assert summary["created_at"] == "2023-11-14T22:13:20+00:00"
    assert not [name for name in summary if name.endswith("_us") or name == "primary_key"]


def test_it_is_plain_json(report: Report) -> None:
    text = json.dumps(report.summary.model_dump(mode="json"), allow_nan=False)
    assert EvaluationReport.model_validate(json.loads(text)) == report.summary
    assert EvaluationReport.model_validate(report.summary.model_dump()) == report.summary
    rows = json.loads(json.dumps([row.model_dump(mode="json") for row in report.queries], allow_nan=False))
    assert [QueryRow.model_validate(row) for row in rows] == report.queries


def test_its_numbers_are_those_of_its_parts(report: Report) -> None:
    inputs = make_inputs()
    values = {name: per_query(inputs.systems[name], inputs.dataset.queries) for name in ("retrieval", "challenger")}
    before, after, delta = report.summary.before, report.summary.after, report.summary.delta
    assert before is not None
    assert after is not None
    assert delta is not None
    assert before == means(values["retrieval"])
    assert after == means(values["challenger"])
    assert system(report, "challenger").means["mrr@10"] == after["mrr@10"]
    for key in MEASURES:
        alone = compare(values["retrieval"][key], values["challenger"][key], resamples=500, confidence=0.95, seed=13)
        written = delta[key]
        assert written.mean == pytest.approx(after[key] - before[key])
        assert written.ci95 == pytest.approx(alone.ci95, abs=1e-9)
        assert (written.p_value, written.wins) == (alone.p_value, alone.wins)
    minus = system(report, "retrieval").after_minus
    assert minus is not None
    assert minus.mean == pytest.approx(delta["ndcg@10"].mean)
    assert system(report, "challenger").after_minus is None


def test_a_row_for_each_evaluable_query(report: Report) -> None:
    assert [row.query_id for row in report.queries] == [f"q{at:02}" for at in range(QUERIES)]
    for key in MEASURES:
        mean = math.fsum((row.after or {})[key] for row in report.queries) / QUERIES
        assert mean == pytest.approx((report.summary.after or {})[key])
    row = report.queries[7]
    assert row.delta is not None
    assert row.before is not None
    assert row.after is not None
    assert row.delta_primary == row.delta["ndcg@10"] == row.after["ndcg@10"] - row.before["ndcg@10"]
    expected = rank_order(make_inputs().systems["challenger"]["q07"])[:10]
    assert [(doc.doc_id, doc.score) for doc in row.top_after] == [(d.doc_id, d.score) for d in expected]
    grades = {doc.doc_id: doc.grade for doc in row.top_after}
    assert grades["d7_0"] == 1
    assert set(grades.values()) <= {0, 1, None}
    assert [doc.rank for doc in row.top_before] == list(range(1, 11))


def test_without_a_trained_model_there_is_a_before_and_no_verdict_but_keep() -> None:
    summary, rows = build_report(make_inputs(after=None, systems=without("challenger"), latency_ms=()))
    assert summary.after is None
    assert summary.delta is None
    assert summary.verdict == Verdict(decision="keep", reasons=("There is no trained model to compare.",))
    assert summary.latency_ms == Latency(p50=None, p95=None, queries=0)
    assert rows[0].top_after == ()
    assert rows[0].delta_primary is None


@pytest.mark.parametrize("failed", ["retrieval", "challenger"])
def test_a_failed_arm_is_shown_and_keeps(failed: str) -> None:
    inputs = make_inputs(systems=without(failed), failed={failed: "the process died"})
    summary, rows = build_report(inputs)
    assert summary.verdict.decision == "keep"
    assert f"{failed} failed" in summary.verdict.reasons[0]
    assert summary.systems[failed] is None
    assert summary.failed == {failed: "the process died"}
    assert "the process died" in render_html(summary, rows)


@pytest.mark.parametrize(
    "change", [{"fallbacks": {"timeout": 1}}, {"leakage": Leakage(overlapping=("q01",), exact=1, checked=5)}]
)
def test_fallbacks_and_leakage_keep(change: dict[str, Any]) -> None:
    assert build_report(make_inputs(**change)).summary.verdict.decision == "keep"


def test_guard_measures_are_known_by_any_of_their_names() -> None:
    """MRR@10 is RR@10, `ap` AP: none is "not measured" for the way it is spelt."""
    gate = GateConfig.model_validate({"guard_measures": "MRR@10 ap recall@20 ndcg@10 p@5"})
    found = build_report(make_inputs(gate=gate)).summary
    passed = {guard.name for guard in guards(found) if guard.passed}
    assert {f"measure {name}" for name in ("mrr@10", "map", "recall@20", "precision@5")} <= passed
    assert found.verdict.decision == "promote"


def test_the_order_that_came_with_the_documents_must_be_beaten_where_it_is_known() -> None:
    """It is right on the queries that came to a rerank; of the others nobody knows."""
    inputs = make_inputs()
    systems = dict(inputs.systems)
    systems["given"] = {
        query_id: [ScoredDoc(doc_id, -float(at)) for at, doc_id in enumerate(doc_ids)]
        for query_id, doc_ids in inputs.candidates.doc_ids.items()
    }
    some = [f"q{at:02}" for at in range(20)]
    found = build_report(replace(inputs, systems=systems, given=some)).summary
    (guard,) = [guard for guard in guards(found) if guard.name == "given"]
    assert (guard.passed, found.verdict.decision) == (False, "keep")
    assert "on 20 queries" in guard.detail
    assert "is not beaten" in found.verdict.reasons[-1]
    unknown = build_report(replace(inputs, systems=systems)).summary
    assert unknown.verdict.decision == "promote"


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"same_as_before": False, "changed": ["corpus_version", "depth"]}, "(the corpus changed, there are more or"),
        ({"same_as_before": False, "changed": []}, "measured on before. All systems"),
        ({"same_as_before": False, "changed": ["source"]}, "(those were put with it)"),
        ({"same_as_before": True, "changed": ["corpus_version"]}, None),
        ({"same_as_before": None, "changed": []}, None),
    ],
)
def test_other_candidates_than_before_are_told(origin: dict[str, Any], said: str | None) -> None:
    inputs = make_inputs()
    found = build_report(
        replace(inputs, candidates=replace(inputs.candidates, origin=Origin.model_validate(origin)))
    ).summary.notes
    told = [note for note in found if note.startswith("The candidates are not those")]
    assert [said in note for note in told if said] == ([True] if said else [])
    assert len(told) == (said is not None)


def test_what_was_not_run_is_an_error_not_a_zero() -> None:
    with pytest.raises(EvaluationFailed, match="'challenger', but it was not run"):
        build_report(make_inputs(systems=without("challenger")))


@pytest.mark.parametrize("fault", ["missing query", "missing document", "stray document"])
def test_a_reranker_must_order_exactly_the_frozen_candidates(fault: str) -> None:
    inputs = make_inputs()
    run = {query_id: list(docs) for query_id, docs in inputs.systems["challenger"].items()}
    if fault == "missing query":
        del run["q05"]
    elif fault == "missing document":
        run["q05"].pop()
    else:
        run["q05"][0] = ScoredDoc("from elsewhere", 9.0)
    with pytest.raises(EvaluationFailed, match=r"does not order the frozen candidates on 1 queries \(first: 'q05'\)"):
        build_report(replace(inputs, systems={**inputs.systems, "challenger": run}))
    assert build_report(replace(inputs, systems={**inputs.systems, "sparse": run})).summary.verdict.reasons


def test_numbers_that_are_none_are_refused_by_name() -> None:
    with pytest.raises(EvaluationFailed, match=r"Latency\.p50: Input should be a finite number"):
        build_report(make_inputs(latency_ms=[math.nan]))


def test_no_positive_anywhere_is_refused() -> None:
    empty = EvalDataset("ab", 1, "wiki", (JudgedQuery("q", "text", {"d": 0}),), "nDCG@10", 0)
    with pytest.raises(InvalidInput, match="nothing to measure"):
        build_report(make_inputs(dataset=empty))


def test_another_primary_measure_decides() -> None:
    dataset = replace(make_inputs().dataset, primary_measure="RR@10")
    summary = build_report(make_inputs(dataset=dataset)).summary
    assert summary.primary_measure == "mrr@10"
    assert summary.verdict.reasons[0].startswith("mrr@10 rises")


def test_what_memory_gave_is_shown_and_decides_nothing() -> None:
    """Half of the queries gain, as their answers were seen, and the others fall: no guard asks for either half."""
    inputs = make_inputs()
    best, worst = inputs.systems["challenger"], _risen(inputs, -9.0)
    mixed = {of: (best if int(of[1:]) % 2 else worst)[of] for of in best}
    taught = {f"d{at}_0" for at in range(1, QUERIES, 2)}
    facts = replace(inputs.slice_facts, taught=taught)
    systems = {**inputs.systems, "challenger": mixed, "blend_without_memory": inputs.systems["retrieval"]}
    summary = build_report(replace(inputs, systems=systems, slice_facts=facts)).summary
    seen, unseen = (part for part in summary.slices if part.field == "training")
    assert (seen.slice, seen.queries, unseen.slice, unseen.queries) == (SEEN, QUERIES // 2, UNSEEN, QUERIES // 2)
    for part, certain in ((seen, "gain"), (unseen, "loss")):
        assert part.delta is not None
        assert part.delta.certain == certain
        assert part.without_memory is not None
        assert part.without_memory.delta is not None
        assert part.without_memory.delta.mean == 0  # here it is the retrieval order itself
    assert [guard.passed for guard in guards(summary) if guard.name == "worst_slice"] == [
        None
    ]  # there is no other kind


def _risen(inputs: EvaluationInputs, by: float) -> Run:
    """The challenger's run with each relevant document's score changed."""
    return {
        query_id: [replace(doc, score=doc.score + by * doc.doc_id.endswith("_0")) for doc in docs]
        for query_id, docs in inputs.systems["challenger"].items()
    }
