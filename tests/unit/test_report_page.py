"""Whoever shows a report: the page and its escaping, one name for a measure everywhere, reports of older builds."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from compared import MADE, make_inputs
from tribrid.answers.costs import EvaluationCost
from tribrid.answers.report import (
    About,
    EvaluationReport,
    QueryRow,
)
from tribrid.cli.reports import report_view
from tribrid.evaluation.inputs import FrozenCandidates
from tribrid.evaluation.measures import MEASURES
from tribrid.evaluation.report import Report, build_report
from tribrid.report.junit import render_junit
from tribrid.report.page import render_html
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(make_inputs())


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


def test_the_page_says_how_much_one_client_taught(report: Report) -> None:
    known = report.summary.model_copy(update={"heaviest_client": 0.256})
    assert "heaviest client's share25.6%" in Page(render_html(known, report.queries)).text.replace("\n", "")
    assert "heaviest client's sharenot known" in Page(render_html(*report)).text.replace("\n", "")


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
