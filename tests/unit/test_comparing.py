"""compare: systems in whatever form a program holds them, measured and tested as the evaluation report does it."""

from __future__ import annotations

import os
import random
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pyarrow
import pytest

from conftest import STRICT
from tribrid import compare
from tribrid.app.comparing import Comparison
from tribrid.corpus.given import given_documents, given_judgments, given_queries, given_run
from tribrid.errors import EvaluationFailed, InvalidInput, MissingExtra
from tribrid.evaluation.comparison import compare as compare_values
from tribrid.evaluation.measures import per_query
from tribrid.types import Document, JudgedQuery, ScoredDoc

QUERIES = 40
Scored = dict[str, dict[str, float]]


def ranked(seed: int, skill: float) -> Scored:
    """A system whose good document stands higher, the more skill it has."""
    chance = random.Random(seed)
    return {f"q{n}": {f"d{n}-{at}": chance.random() + skill * (at == 0) for at in range(12)} for n in range(QUERIES)}


QRELS = {f"q{n}": {f"d{n}-0": 2, f"d{n}-1": 1, f"d{n}-5": 0} for n in range(QUERIES)} | {"none": {"d0-0": 0}}
SYSTEMS = {"plain": ranked(1, 0.0), "better": ranked(2, 0.8), "best": ranked(3, 3.0)}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(SYSTEMS, QRELS, slices={f"q{n}": "even" if n % 2 == 0 else "odd" for n in range(QUERIES)})


@pytest.fixture(scope="module")
def pandas() -> Any:
    if os.environ.get(STRICT):
        import pandas

        return pandas
    return pytest.importorskip("pandas")


def rows_of_run(run: Scored) -> list[dict[str, Any]]:
    return [{"qid": q, "docno": d, "score": s} for q, docs in run.items() for d, s in docs.items()]


def trec(run: Scored) -> str:
    return "".join(f"{q} Q0 {d} 1 {score} me\n" for q, docs in run.items() for d, score in docs.items())


def test_the_numbers_are_those_of_measures_and_comparison(found: Comparison) -> None:
    assert (found.queries, found.excluded, found.primary_measure) == (QUERIES, 1, "ndcg@10")
    judged = [JudgedQuery(q, "", grades) for q, grades in QRELS.items()]
    values = {
        name: per_query({q: [ScoredDoc(*pair) for pair in docs.items()] for q, docs in run.items()}, judged)
        for name, run in SYSTEMS.items()
    }
    for row in found.rows:
        for name in SYSTEMS:
            assert row.values[name] == {key: values[name][key][row.query_id] for key in found.measures}
    alone = compare_values(
        values["plain"]["ndcg@10"], values["best"]["ndcg@10"], resamples=10_000, confidence=0.95, seed=13
    )
    pair = found.pair("plain", "best")
    for name in ("mean", "ci95", "p_value", "wins", "losses", "ties"):
        assert getattr(pair, name) == pytest.approx(getattr(alone, name)), name
    assert pair.certain == "gain"


def test_every_pair_is_tested_and_corrected_for_all(found: Comparison) -> None:
    assert len(found.pairs) == 3 * len(found.measures)
    quality = [pair.delta for pair in found.pairs if not pair.measure.startswith("judged")]
    assert len(quality) == 9
    smallest = min(quality, key=lambda delta: delta.p_value)
    assert smallest.p_holm == pytest.approx(9 * smallest.p_value)
    there, back = found.pair("better", "best"), found.pair("best", "better")
    assert (back.mean, back.wins, back.losses) == (-there.mean, there.losses, there.wins)
    assert back.ci95 == (-there.ci95[1], -there.ci95[0])
    with pytest.raises(KeyError, match="nobody"):
        found.pair("plain", "nobody")


def test_slices_are_of_the_queries_named_and_corrected_for_all_of_them(found: Comparison) -> None:
    assert [(part.slice, part.queries) for part in found.slices] == [("even", 20), ("odd", 20)] * 3
    assert all(part.delta and part.delta.p_holm is not None for part in found.slices)
    lone = compare(SYSTEMS, QRELS, measures=["ndcg@10"], slices={"q0": "lone", "q1": "two", "q2": "two"})
    assert {part.slice for part in lone.slices} == {"two"}
    assert any("'lone'" in note for note in lone.notes)


class Hit(NamedTuple):
    doc_id: str
    score: float


def test_a_run_in_every_form_is_the_same_run(tmp_path: Path) -> None:
    run = SYSTEMS["better"]
    order = {q: sorted(docs, key=lambda d: -docs[d]) for q, docs in run.items()}
    (tmp_path / "mine.run").write_text(trec(run))
    rows = rows_of_run(run)
    by_rank = [{"query_id": q, "doc_id": d, "rank": n} for q, docs in order.items() for n, d in enumerate(docs, 1)]
    forms: dict[str, Any] = {
        "scores": run,
        "order": order,
        "pairs": {q: list(docs.items()) for q, docs in run.items()},
        "hits": {q: [Hit(*pair) for pair in docs.items()] for q, docs in run.items()},
        "dicts": {q: [{"doc_id": d, "score": s} for d, s in docs.items()] for q, docs in run.items()},
        "path": tmp_path / "mine.run",
        "path as text": str(tmp_path / "mine.run"),
        "rows": rows,
        "ranks": by_rank,
        "function": lambda text: order[text],
    }
    found = compare(forms, QRELS, queries={q: q for q in QRELS}, measures=["ndcg@10", "map"])
    assert len({str(system.means) for system in found.systems.values()}) == 1
    assert all(pair.delta.ties == QUERIES for pair in found.pairs)


def test_judgments_in_every_form_are_the_same_judgments(tmp_path: Path) -> None:
    rows = [{"query_id": q, "doc_id": d, "relevance": g} for q, grades in QRELS.items() for d, g in grades.items()]
    (tmp_path / "qrels.txt").write_text("".join(f"{r['query_id']} 0 {r['doc_id']} {r['relevance']}\n" for r in rows))
    whole = [{"query_id": q, "text": f"text of {q}", "judgments": grades} for q, grades in QRELS.items()]
    for form in (QRELS, rows, tmp_path / "qrels.txt", whole, [JudgedQuery(q, "", g) for q, g in QRELS.items()]):
        assert {query.query_id: dict(query.judgments) for query in given_judgments(form)} == QRELS
    assert given_judgments(whole)[0].text == "text of q0"
    assert given_queries({7: "seven"}) == given_queries([{"qid": 7, "query": "seven"}]) == {"7": "seven"}


def test_what_cannot_be_read_is_named() -> None:
    refused: list[tuple[Any, str]] = [
        ({"x": 7}, "'x' is neither"),
        ({"x": {"q0": "d0"}}, "'x'"),
        ({"x": {"q0": {"d0": "high"}}}, "no number"),
        ({"x": {"q0": {7.0: 1.0}}}, "dtype=str"),
        ({"x": {"other": ["d0-0"]}}, "none of the 40 queries"),
        ({"x": [{"qid": "q0", "doc": "d", "score": 1}]}, "'doc_id'"),
        ({"x": "/nowhere/to/be.run"}, "cannot be read"),
        ({"x": lambda _text: ["d0-0"]}, "queries="),
        ({}, "needs a system"),
    ]
    for systems, said in refused:
        with pytest.raises(InvalidInput, match=said):
            compare(systems, QRELS)
    with pytest.raises(InvalidInput, match="no whole number"):
        compare(SYSTEMS, {"q0": {"d0-0": 0.5}})
    with pytest.raises(InvalidInput, match="how good"):
        compare(SYSTEMS, QRELS, measures=["judged@10"])
    with pytest.raises(EvaluationFailed, match="more than once"):
        compare({"x": {"q0": ["d0-0", "d0-0"]}}, QRELS)
    with pytest.raises(EvaluationFailed, match="not a finite"):
        compare({"x": {"q0": {"d0-0": float("nan")}}}, QRELS)


def test_ids_of_another_kind_and_missing_queries_are_told() -> None:
    found = compare({"numbers": {"q0": [7, 8]}, "few": {"q1": ["d1-0"]}}, {"q0": {"007": 1}, "q1": {"d1-0": 1}})
    assert "leading zeros" in " ".join(found.notes)
    assert found.systems["few"].missing == 1
    assert "1 of 2 queries" in " ".join(found.notes)
    assert found.systems["few"].means["ndcg@10"] == 0.5


def test_it_is_shown_as_a_page_a_drawing_and_text(found: Comparison) -> None:
    class Frames(HTMLParser):
        pages: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            told = dict(attrs)
            if tag == "iframe":
                assert "sandbox" in told
                self.pages = [str(told["srcdoc"])]

    odd = compare({"<b>&": SYSTEMS["plain"], "best": SYSTEMS["best"]}, QRELS)
    frames = Frames()
    frames.feed(str(odd._repr_html_()))
    (page,) = frames.pages
    assert "<b>&</span>" not in page
    assert "&lt;b&gt;&amp;" in page
    for measure in (None, "mrr@10"):
        drawing = odd.plot(measure)
        root = ElementTree.fromstring(drawing._repr_svg_())
        assert root.tag.endswith("svg")
        assert len(root.findall(".//{*}circle")) == 2
    with pytest.raises(KeyError):
        odd.plot("map")
    assert "best - plain: +" in str(found)


def test_a_drawing_is_saved(found: Comparison, tmp_path: Path) -> None:
    found.plot().save(tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text("utf-8") == found.plot().svg


def test_its_tables_are_rows(found: Comparison) -> None:
    assert [row["system"] for row in found.records()] == list(SYSTEMS)
    assert len(found.records("queries")) == 3 * QUERIES
    assert {row["measure"] for row in found.records("pairs")} == set(found.measures)
    assert {"slice", "change", "p_holm"} <= found.records("slices")[0].keys()


def test_without_pandas_a_frame_is_a_missing_package(found: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pandas"):
        found.to_frame()


def test_frames_are_taken_and_given(found: Comparison, pandas: Any) -> None:
    frame = found.to_frame("queries")
    assert list(frame["system"][:3]) == list(SYSTEMS)
    run = pandas.DataFrame(
        [{"qid": q, "docno": d, "score": s} for q, r in SYSTEMS["best"].items() for d, s in r.items()]
    )
    rows = [{"query_id": q, "doc_id": d, "label": g} for q, grades in QRELS.items() for d, g in grades.items()]
    again = compare({"best": run}, pandas.DataFrame(rows))
    assert again.systems["best"].means == found.systems["best"].means


def test_ids_that_pandas_read_as_numbers_are_taken_or_refused_by_name(pandas: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("query_id,doc_id,score\n1,007,2\n1,8,1\n")
    read = pandas.read_csv(path)
    assert [doc.doc_id for doc in given_run("x", read)["1"]] == ["7", "8"], "pandas dropped the zeros, not we"
    assert [doc.doc_id for doc in given_run("x", pandas.read_csv(path, dtype=str))["1"]] == ["007", "8"]
    path.write_text("query_id,doc_id,score\n1,007,2\n1,,1\n")
    with pytest.raises(InvalidInput, match=r"7\.0.*dtype=str"):
        given_run("x", pandas.read_csv(path))


def test_ids_that_pandas_read_as_empty_are_refused_with_the_way_to_read_them(pandas: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("query_id,doc_id,score\n1,NA,2\n")
    with pytest.raises(InvalidInput, match="keep_default_na=False"):
        given_run("x", pandas.read_csv(path, dtype=str))
    kept = given_run("x", pandas.read_csv(path, dtype=str, keep_default_na=False))
    assert [doc.doc_id for doc in kept["1"]] == ["NA"]


def test_json_ids_that_pandas_made_numbers_of_are_their_digits_or_refused(pandas: Any, tmp_path: Path) -> None:
    path = tmp_path / "qrels.jsonl"
    path.write_text('{"query_id": "1", "doc_id": "007", "grade": 1}\n')
    (read,) = given_judgments(pandas.read_json(path, lines=True))
    assert read.judgments == {"7": 1}, "pandas dropped the zeros, not we"
    (whole,) = given_judgments(pandas.read_json(path, lines=True, dtype={"query_id": False, "doc_id": False}))
    assert whole.judgments == {"007": 1}
    path.write_text('{"query_id": "1", "doc_id": "12345678901234567890123", "grade": 1}\n')
    with pytest.raises(InvalidInput, match="is the number"):
        given_judgments(pandas.read_json(path, lines=True))


def test_documents_of_a_frame_have_no_empty_cells(pandas: Any) -> None:
    frame = pandas.DataFrame({"docno": [1, 2], "text": ["soup", "tea"], "title": ["Soup", None]})
    assert list(given_documents(frame, max_document_chars=1000)) == [
        Document("1", text="soup", title="Soup"),
        Document("2", text="tea"),
    ]


def test_a_table_of_pyarrow_is_a_frame() -> None:
    rows = rows_of_run(SYSTEMS["best"])
    table = pyarrow.Table.from_pylist(rows)
    assert given_run("x", table) == given_run("x", rows)
    documents = pyarrow.table({"_id": ["a", "b"], "text": ["soup", "tea"], "title": ["Soup", None]})
    read = list(given_documents(documents, max_document_chars=99))
    assert read == [Document("a", "soup", "Soup"), Document("b", "tea")]


def test_documents_are_texts_by_id_or_records() -> None:
    for form in (
        {"a": "soup"},
        [{"doc_id": "a", "text": "soup"}],
        [{"_id": "a", "text": "soup"}],
        [Document("a", "soup")],
    ):
        assert list(given_documents(form, max_document_chars=1000)) == [Document("a", "soup")]
