"""The report and its page: the contract's shape, numbers that agree with the parts, refusals, notes, escaping."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tribrid.answers.changes import Delta, Guard, Verdict
from tribrid.answers.costs import EvaluationCost
from tribrid.answers.report import (
    About,
    EvalDatasetFacts,
    EvaluationReport,
    Fallbacks,
    Latency,
    Leakage,
    Origin,
    QueryRow,
    System,
)
from tribrid.cli.reports import report_view
from tribrid.errors import EvaluationFailed, InvalidInput
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.inputs import EvaluationInputs, FrozenCandidates
from tribrid.evaluation.measures import MEASURES, Run, means, per_query
from tribrid.evaluation.notes import Findings, notes
from tribrid.evaluation.report import Report, build_report
from tribrid.report.junit import render_junit
from tribrid.report.page import render_html
from tribrid.sections import EvaluationConfig, GateConfig
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc, rank_order

QUERIES = 60
MADE = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
DEPTH = 15
STRENGTH = {
    "sparse": 0.5,
    "dense": 0.8,
    "retrieval": 1.0,
    "base": 0.2,
    "blend_without_cross_encoder": 1.8,
    "challenger": 2.2,
}


def make_inputs(**changes: Any) -> EvaluationInputs:
    """60 judged queries and one without a positive; each system finds the relevant document as well as its strength."""
    generator = np.random.default_rng(4)
    queries = [JudgedQuery(f"q{at:02}", f"question {at}", {f"d{at}_0": 1, f"d{at}_1": 0}) for at in range(QUERIES)]
    candidates = {f"q{at:02}": [f"d{at}_{rank}" for rank in range(DEPTH)] for at in range(QUERIES)}
    systems: dict[str, dict[str, list[ScoredDoc]]] = {name: {} for name in STRENGTH}
    for query_id, doc_ids in candidates.items():
        shared = generator.normal(size=DEPTH)
        for name, strength in STRENGTH.items():
            scores = shared + 0.4 * generator.normal(size=DEPTH)
            scores[0] += strength
            systems[name][query_id] = [ScoredDoc(d, float(s)) for d, s in zip(doc_ids, scores, strict=True)]
    queries.append(JudgedQuery("none", "nobody knows", {"d0_0": 0}))
    defaults: dict[str, Any] = {
        "dataset": EvalDataset("ab" * 32, 2, "wiki", tuple(queries), "nDCG@10", 0),
        "candidates": FrozenCandidates(DEPTH, "cd" * 32, candidates),
        "systems": systems,
        "before": "retrieval",
        "after": "challenger",
        "config": EvaluationConfig.model_validate({"resamples": 500}),
        "latency_ms": [1.0, 2.0, 3.0, 100.0],
        "cost": EvaluationCost(usd=0.0, compute_s=1.5),
        "leakage": Leakage(overlapping=(), exact=0, checked=9, eval_queries=61),
        "about": About(evaluation_id="e1", corpus_id="wiki", created_at=MADE),
    }
    return EvaluationInputs(**(defaults | changes))


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


def test_a_report_that_an_older_build_stored_is_read() -> None:
    """Two names of a measure, microseconds, {} for what was not checked, and without what was added later."""
    change = {"mean": 0.1, "ci95": [0.05, 0.15], "p_value": 0.01, "wins": 3, "losses": 1, "ties": 0}
    old = {
        "status": "succeeded",
        "evaluation_id": "e1",
        "corpus_id": "wiki",
        "created_us": 1_700_000_000_000_000,
        "model_id": "m1",
        "eval_dataset": {"sha256": "ab", "version": 1, "queries": 4, "judgments": 8, "excluded": 0},
        "candidates": {"depth": 50, "sha256": "cd", "recall_ceiling": 0.9},
        "primary_measure": "AP",
        "primary_key": "map",
        "primary_reason": "Chosen for this eval dataset.",
        "measures": {"ndcg@10": "nDCG@10", "map": "AP"},
        "compared": {"before": "retrieval", "after": "challenger"},
        "before": {"ndcg@10": 0.4, "map": 0.3},
        "after": {"ndcg@10": 0.5, "map": 0.4},
        "delta": {key: {**change, "ci": [0.05, 0.15], "confidence": 0.95} for key in ("ndcg@10", "map")},
        "systems": {
            "retrieval": {"ndcg@10": 0.4, "map": 0.3, "ci95": {"ndcg@10": [0.3, 0.5], "map": [0.2, 0.4]}},
            "base": None,
        },
        "verdict": {"decision": "promote", "reasons": ["AP rises."]},
        "notes": [],
        "latency_ms": {"p50": 1.0, "p95": 2.0, "queries": 4},
        "cost": {"usd": 0.0, "model": "tribrid", "unit": "pair"},
        "fallbacks": {"count": 0, "reasons": {}},
        "leakage": {},
        "failed": {},
        "settings": {"resamples": 100, "confidence": 0.95, "seed": 13},
    }
    found = EvaluationReport.model_validate(old)
    assert (found.primary_measure, found.measures) == ("map", ("ndcg@10", "map"))
    assert found.created_at == MADE
    assert (found.leakage, found.gate, found.looks, found.mode) == (None, None, None, "learning")
    assert found.primary_delta is not None
    assert (found.primary_delta.mean, found.primary_delta.certain, found.corrected) == (0.1, "gain", False)
    row = {"query_id": "q", "text": "t", "before": {"map": 0.1}, "after": None, "delta": None, "delta_primary": None}
    assert QueryRow.model_validate({**row, "top_before": [], "top_after": []}).relevant == ()
    page = render_html(found, [])
    assert "14 November 2023" in page
    assert EvaluationReport.model_validate_json(found.model_dump_json()) == found


def test_a_measure_has_one_name_wherever_it_is_shown(report: Report) -> None:
    """On the page, on the command line and in JUnit the report keys stand, and nothing of ir_measures' spellings."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report_view(report.summary))
    shown = {
        "page": Page(render_html(*report)).text,
        "terminal": captured.get(),
        "junit": render_junit(report.summary),
        "reasons": " ".join((*report.summary.verdict.reasons, *report.summary.notes, report.summary.primary_reason)),
    }
    for where, text in shown.items():
        for name in MEASURES.values():
            assert not re.search(rf"(?<![\w@]){re.escape(name)}(?![\w@])", text), (where, name)
    for where in ("page", "terminal", "junit"):
        assert [key for key in MEASURES if key not in shown[where]] == [], where


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


# ---- notes


def delta(mean: float, ci: tuple[float, float], p_value: float, wins: int, losses: int, ties: int) -> Delta:
    return Delta(mean=mean, ci95=ci, p_value=p_value, wins=wins, losses=losses, ties=ties, ci=ci, confidence=0.95)


def findings(**changes: Any) -> Findings:
    gain = delta(0.05, (0.02, 0.08), 0.001, 30, 10, 60)
    defaults: dict[str, Any] = {
        "measure": "ndcg@10",
        "before": "retrieval",
        "after": "challenger",
        "queries": 100,
        "primary": {"retrieval": 0.5, "challenger": 0.75, "oracle": 1.0, "dense": 0.4},
        "after_minus": {"dense": gain, "blend_without_cross_encoder": gain},
        "judged": (0.5, 0.5),
        "recall_ceiling": 0.95,
        "depth": 50,
    }
    merged = defaults | changes
    merged["primary"] = {"blend_without_cross_encoder": 0.7} | merged["primary"]
    return Findings(**merged)


def test_a_repaired_fusion_is_called_that() -> None:
    strong_leg = {"retrieval": 0.594, "dense": 0.731, "challenger": 0.735}
    chance = delta(0.004, (-0.01, 0.02), 0.6, 20, 18, 62)
    said = notes(findings(primary=strong_leg, after_minus={"dense": chance}))
    assert "dense leg alone (0.731) ranks better than the fused order (0.594)" in said[0]
    assert "only repairs the fusion" in said[0]
    assert "beats that leg as well" in notes(findings(primary=strong_leg))[0]
    assert notes(findings(primary=strong_leg, after=None, after_minus={}))[0].endswith("(0.594).")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "earns its place"),
        ({}, "goes 50% of the way from retrieval to it"),
        ({"judged": (0.5, 0.4)}, "judged@10 falls from 0.500 to 0.400"),
        ({"recall_ceiling": 0.8}, "20% of a query's relevant documents"),
        ({"queries": 12}, "With 12 queries"),
        (
            {"after_minus": {"blend_without_cross_encoder": delta(0, (-0.1, 0.1), 1, 1, 1, 9)}},
            "cannot be told from chance",
        ),
        (
            {"after_minus": {"blend_without_cross_encoder": delta(-0.2, (-0.3, -0.1), 0, 1, 9, 9)}},
            "does harm",
        ),
    ],
)
def test_notes(change: dict[str, Any], said: str) -> None:
    assert any(said in note for note in notes(findings(**change)))


# ---- the page


class Page(HTMLParser):
    """Collects what a browser would see, tags and text; every tag must be closed in order."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.stack == [], self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.text += data


def test_the_page_shows_the_report(report: Report) -> None:
    page = Page(render_html(*report))
    after = (report.summary.after or {})["ndcg@10"]
    for expected in ("wiki", "Promote", f"{after:.3f}", "BM25 alone", "Biggest wins", "2.5 ms", "14 November 2023"):
        assert expected in page.text, expected
    biggest = max(report.queries, key=lambda row: row.delta_primary or 0.0)
    assert biggest.text in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) >= 20


def test_the_page_asks_for_nothing_from_outside(report: Report) -> None:
    html = render_html(*report)
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "use", "image"}
    assert not re.search(r"url\(|@import|https?:", html)
    assert not any(name in ("src", "href") or name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_text_from_outside_is_escaped() -> None:
    evil = "</style><script>alert('x')</script><img src=x onerror=alert(1)> \"&"
    inputs = make_inputs()
    queries = tuple(replace(query, text=evil) for query in inputs.dataset.queries)
    summary, rows = build_report(
        replace(
            inputs,
            dataset=replace(inputs.dataset, queries=queries),
            systems={**inputs.systems, evil: inputs.systems["challenger"]},
            after=evil,
            failed={evil + "2": evil},
            cost=EvaluationCost(usd=1.0, model=evil, provider=evil),
            about=About(corpus_id=evil, evaluation_id=evil),
        )
    )
    page = Page(render_html(summary, rows))
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert evil in page.text


@pytest.mark.parametrize("queries", [1, 2, 2000])
def test_the_page_of_few_and_of_many_queries(queries: int) -> None:
    judged = tuple(JudgedQuery(f"q{at}", f"t{at}", {"a": 1}) for at in range(queries))
    worse = {query.query_id: [ScoredDoc("a", 0.0), ScoredDoc("b", 1.0)] for query in judged}
    better = {query.query_id: [ScoredDoc("a", 1.0), ScoredDoc("b", 0.0)] for query in judged}
    summary, rows = build_report(
        make_inputs(
            dataset=EvalDataset("ab", 1, "wiki", judged, "nDCG@10", 0),
            candidates=FrozenCandidates(2, "cd", {query.query_id: ["a", "b"] for query in judged}),
            systems={"retrieval": worse, "challenger": better},
        )
    )
    assert summary.verdict.decision == ("promote" if queries > 2 else "keep")
    html = render_html(summary, rows)
    assert len(Page(html).text) < 20_000
    assert len(html) < 300_000
