"""The report page's parts that not every report has, and the documents it quotes: shown, escaped, left out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tribrid.answers.changes import CorpusPart, Delta, Gate, SlicePart
from tribrid.answers.report import About, EvaluationReport, Looks, OutsideSystem
from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.inputs import EvaluationInputs, FrozenCandidates
from tribrid.evaluation.report import Report, build_report
from tribrid.report.page import render_html
from tribrid.report.queries import named_documents
from tribrid.report.quoting import quoted
from tribrid.types import Document, EvalDataset, JudgedQuery, ScoredDoc

EVIL = "</style><script>alert('x')</script><img src=x onerror=alert(1)> \"&"
CHANGE = Delta(mean=0.03, ci95=(0.01, 0.05), p_value=0.01, wins=5, losses=2, ties=3, ci=(0.01, 0.05), confidence=0.95)
GAIN = "+0.030 [+0.010, +0.050]"


def ranked(best: str, depth: int = 30) -> list[ScoredDoc]:
    """The documents a0, a1, ... with one of them in front."""
    names = [best, *(f"a{at}" for at in range(depth) if f"a{at}" != best)]
    return [ScoredDoc(name, float(depth - at)) for at, name in enumerate(names)]


def made(text: str = "where is the key") -> Report:
    """30 queries; before, the relevant document a20 is at rank 22, after it is first, but for one query's."""
    queries = tuple(JudgedQuery(f"q{at:02}", f"{text} {at}", {"a20": 1, "elsewhere": 2}) for at in range(30))
    candidates = {query.query_id: [doc.doc_id for doc in ranked("a0")] for query in queries}
    before = {query.query_id: ranked("a0") for query in queries}
    after = {query.query_id: ranked("a20") for query in queries}
    before["q00"], after["q00"] = after["q00"], before["q00"]
    return build_report(
        EvaluationInputs(
            dataset=EvalDataset("ab" * 32, 1, "wiki", queries, "nDCG@10", 0),
            candidates=FrozenCandidates(30, "cd" * 32, candidates),
            systems={"retrieval": before, "challenger": after},
            before="retrieval",
            after="challenger",
            config=EvaluationConfig.model_validate({"resamples": 200}),
            about=About(corpus_id="wiki"),
        )
    )


def changed(report: EvaluationReport, **fields: Any) -> EvaluationReport:
    """The report with these fields in place of its own."""
    return EvaluationReport.model_validate({**dict(report), **fields})


class Page(HTMLParser):
    """The tags, and the text as a reader sees it. Every tag must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def report() -> Report:
    return made()


def test_the_rankings_quote_documents_and_say_where_the_relevant_ones_moved(report: Report) -> None:
    summary, rows = report
    names = named_documents(summary, rows)
    assert {"a0", "a20", "elsewhere"} <= names
    assert "a29" not in names, "below the top 10 of both and not relevant"
    documents = {
        "a20": Document("a20", "Nobody knows.\n\n" * 40 + "But the key is under the mat.", title="Under the mat"),
        "a0": Document("a0", "Nothing of it.", title=""),
    }
    text = Page(render_html(summary, rows, documents)).text
    assert "Under the mat 21 → 1" in text
    assert "elsewhere not a candidate" in text, "a document that is gone has its id"
    assert "key is under the mat." in text
    assert "1 → 21" in text, "the one that was lost"


@pytest.mark.parametrize("evil", [EVIL, EVIL * 40])
def test_text_of_documents_is_escaped(evil: str) -> None:
    summary, rows = made(evil)
    documents = {name: Document(name, evil * 3, title=evil) for name in named_documents(summary, rows)}
    assert summary.calibration is not None
    summary = changed(
        summary,
        slices=[SlicePart(field=evil, slice=evil, queries=3, delta=CHANGE)],
        corpora=[CorpusPart(corpus_id=evil, queries=3, delta=CHANGE)],
        consistency={"consistent": "no", "reasons": [evil]},
        outside={"challenger": OutsideSystem(kind=evil)},
        gate=Gate.model_validate({"guards": [{"name": evil, "passed": False, "detail": evil}]}),
        calibration=summary.calibration.model_copy(update={"system": evil, "notes": (evil,)}),
    )
    page = Page(render_html(summary, rows, documents))
    assert not {"script", "img"} & set(page.tags)
    assert EVIL in page.text


def test_what_a_report_has_is_shown(report: Report) -> None:
    corpus = CorpusPart(
        corpus_id="code",
        queries=10,
        before=0.61,
        after=0.64,
        delta=CHANGE,
        compared_with="champion",
        transferred=True,
        leaked=2,
    )
    delta = report.summary.delta or {}
    summary = changed(
        report.summary,
        slices=[
            SlicePart(field="length", slice="short", queries=10, before=0.5, after=0.53, delta=CHANGE),
            SlicePart(field="length", slice="long", queries=2, before=0.5, after=None, delta=None),
        ],
        corpora=[corpus],
        consistency={"consistent": "unclear", "reasons": ["It falls on code (-0.1)."]},
        gate={
            "minimum_effect": 0.02,
            "guards": [
                {"name": "latency_p95", "passed": False, "detail": "too slow by -3 ms"},
                {"name": "seeds", "passed": None, "detail": "one seed"},
                {"name": "minimum_effect", "passed": True, "detail": "large"},
                {"name": "worst_slice", "passed": True, "detail": "none falls"},
            ],
        },
        looks=Looks(count=7, models=3, false_promotion_risk=0.0731),
        learning_curve=[
            {"step": 0, "epoch": None, "loss": None, "dev_ndcg@10": 0.2, "dev_served_ndcg@10": 0.61},
            {"step": 9, "epoch": 1.0, "loss": 0.4, "dev_ndcg@10": 0.3, "dev_served_ndcg@10": 0.62},
        ],
        delta={key: entry.model_copy(update={"p_holm": 0.777}) for key, entry in delta.items()},
    )
    text = Page(render_html(summary, report.queries)).text
    for said in (
        "By kind of query", "short", GAIN, "not compared",
        "By corpus", "0.610 → 0.640", "across corpora? Unclear.", "(−0.1)",
        "against champion, a model trained on another corpus, 2 of its queries were trained on",
        "latency p95", "too slow by −3 ms", "it promotes is 0.020",
        "2 passed: minimum effect, worst slice", "7 times", "7 %",
        "How the training went", "with the blend",
        "p (Holm)", "0.777", "corrected after Holm",
        "What a score means", "best F1, measured on queries that did not choose it", "Nobody judged a candidate",
    ):  # fmt: skip
        assert said in text, said


def test_what_a_report_does_not_have_is_left_out(report: Report) -> None:
    text = Page(render_html(changed(report.summary, calibration=None, gate=None, looks=None), report.queries)).text
    for said in ("By kind", "By corpus", "gate checked", "times", "training went", "a score means"):
        assert said not in text, said


def test_the_rows_of_an_older_report_are_shown_as_well(report: Report) -> None:
    rows = [row.model_copy(update={"relevant": (), "relevant_total": 0}) for row in report.queries]
    assert "Biggest wins" in render_html(report.summary, rows)


# ---- in a browser

WIDTHS = (390, 1280)
_MEASURE = """
<script>
onload = () => {
  const pages = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument.documentElement;
    const wide = [...page.querySelectorAll("section *")].filter(
      (element) => element.getBoundingClientRect().right > page.clientWidth + 1 && !element.closest("svg"));
    return {width: page.clientWidth, scrolls: page.scrollWidth > page.clientWidth,
            wide: wide.map((element) => element.outerHTML.slice(0, 80)), sections: page.querySelectorAll("h2").length};
  });
  document.body.textContent = JSON.stringify(pages);
};
</script>
"""


@pytest.mark.slow
def test_the_page_fits_a_phone_and_a_desk(tmp_path: Path) -> None:
    """In a real browser nothing is wider than the window, whatever documents are called."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if os.environ.get("TRIBRID_TEST_STRICT"):
            pytest.fail("no Chromium on this machine")
        pytest.skip("no Chromium on this machine")
    word = "unbreakable" * 30
    summary, rows = made(word)
    documents = {name: Document(name, f"{word} {EVIL}", title=word) for name in named_documents(summary, rows)}
    summary = changed(
        summary,
        slices=[SlicePart(field=word, slice=word, queries=10, before=0.5, after=0.6, delta=CHANGE)],
        gate={"minimum_effect": 0.02, "guards": [{"name": word, "passed": False, "detail": word}]},
    )
    page = escape(render_html(summary, rows, documents))
    frames = "".join(f'<iframe width="{width}" height="800" srcdoc="{page}"></iframe>' for width in WIDTHS)
    harness = tmp_path / "harness.html"
    harness.write_text(f"<!doctype html><meta charset=utf-8><style>iframe {{ border: 0 }}</style>{_MEASURE}{frames}")
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        *quiet,
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    done = subprocess.run([*command, "--dump-dom", harness.as_uri()], capture_output=True, timeout=100, check=True)
    body = re.search(r"<body>(.*)</body>", done.stdout.decode(), flags=re.DOTALL)
    assert body is not None, done.stdout[-2000:]
    for width, found in zip(WIDTHS, json.loads(unescape(body[1])), strict=True):
        assert found["width"] in (width, width - 15), "less a scroll bar"
        assert not found["scrolls"], found
        assert found["sections"] >= 8


# ---- quotes


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("One two three.", "five", "One two three."),
        ("", "five", ""),
        ("The <b>Key</b>", "the key", "<mark>The</mark> &lt;b&gt;<mark>Key</mark>&lt;/b&gt;"),
        ("Straße", "STRASSE", "<mark>Straße</mark>"),
        ("  two\n\nlines ", "", "two lines"),
    ],
)
def test_a_quote_marks_the_querys_words(text: str, query: str, expected: str) -> None:
    assert quoted(text, query, 100) == expected


def test_a_quote_is_from_where_the_query_is_spoken_of() -> None:
    found = quoted("lorem key " + "ipsum " * 100 + "the door key opens both " + "dolor " * 100, "door key", 80)
    assert found.startswith("… ")
    assert found.endswith(" …")
    assert "the <mark>door</mark> <mark>key</mark> opens" in found.replace("<mark>the</mark>", "the")
    assert len(unescape(found).replace("<mark>", "").replace("</mark>", "")) < 90
