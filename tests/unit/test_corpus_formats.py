"""Judgments and test collections in the field's forms."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.formats import judged_queries, parse_judged_queries, parse_qrels, parse_queries, read_beir
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

ids = st.text(alphabet=st.characters(categories=["L", "N", "P"]), min_size=1, max_size=10)
grades = st.integers(-2, 5000)


@pytest.mark.parametrize(
    "text",
    [
        "q1 0 d1 2\nq1 0 d2 0\nq2 Q0 d1 1\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n",
        "\ufeffquery-id\tcorpus-id\tscore\r\nq1\td1\t2\r\n\r\nq1\td2\t0\r\nq2\td1\t1.0",
        "q1 d1 2\n\nq1   d2 0\nq2\td1\t1\n",
        "q1\t0\td1\t2\nq1\t0\td2\t0\nq2\t0\td1\t1\nq2\t0\td1\t1\n",
    ],
)
def test_trec_beir_and_plain_qrels_say_the_same(text: str) -> None:
    assert parse_qrels(text) == {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 1}}


def test_ids_may_hold_spaces_between_tabs_and_grades_may_be_negative() -> None:
    assert parse_qrels("a query\t0\tmy file.txt\t-2\n") == {"a query": {"my file.txt": -2}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no judgment"),
        ("query-id\tcorpus-id\tscore\n", "no judgment"),
        ("q d\n", "line 1"),
        ("q 0 d 1\nq 0 d 1 extra\n", "line 2 has 5 columns"),
        ("q d 1\nquery doc score\n", "line 2: the grade"),
        ("q d 1.5\n", "line 1: the grade"),
        ("q d ٣\n", "line 1: the grade"),
        ("q d 99999999\n", "line 1: the grade"),
        ("q d 1\nq d 2\n", "again and differently"),
        ("q\t\t1\n", "document id is empty"),
        (f"{'q' * 600} d 1\n", "query id is longer"),
    ],
)
def test_qrels_that_are_broken_are_refused_with_the_line(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_qrels(text)


@given(st.dictionaries(ids, st.dictionaries(ids, grades, min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_is_written_as_trec_is_read_back(qrels: dict[str, dict[str, int]]) -> None:
    lines = [f"{query} 0 {doc} {grade}" for query, docs in qrels.items() for doc, grade in docs.items()]
    # The first line's grade holds a digit, so it can be no header.
    assert parse_qrels("\n".join(lines)) == qrels


@given(st.text(max_size=200))
def test_any_text_is_qrels_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert parse_qrels(text)


def test_judged_queries_from_json() -> None:
    obj = {
        "queries": [
            {"query_id": "q1", "text": "how", "judgments": {"d1": 2}},
            {"query_id": 7, "text": "why", "judgments": {}},
        ]
    }
    assert parse_judged_queries(obj) == [JudgedQuery("q1", "how", {"d1": 2}), JudgedQuery("7", "why", {})]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("q", "Query 2 is not an object"),
        ({"text": "t", "judgments": {}}, "Query 2: query_id is missing"),
        ({"query_id": "q1", "text": "t", "judgments": {}}, "comes twice"),
        ({"query_id": "a\nb", "text": "t", "judgments": {}}, "control character"),
        ({"query_id": "q2", "text": " ", "judgments": {}}, "text is missing or empty"),
        ({"query_id": "q2", "text": "a\0", "judgments": {}}, "NUL"),
        ({"query_id": "q2", "text": "x" * 10_001, "judgments": {}}, "longer than 10,000"),
        ({"query_id": "q2", "text": "t"}, "judgments is not an object"),
        ({"query_id": "q2", "text": "t", "judgments": {"": 1}}, "doc_id of judgments is empty"),
        ({"query_id": "q2", "text": "t", "judgments": {"d": True}}, "grade of 'd'"),
        ({"query_id": "q2", "text": "t", "judgments": {"d": 1.5}}, "grade of 'd'"),
        ({"query_id": "q2", "text": "t", "judgments": {"d": 10**9}}, "grade of 'd'"),
    ],
)
def test_judged_queries_that_are_broken_are_refused_and_named(entry: object, reason: str) -> None:
    good = {"query_id": "q1", "text": "t", "judgments": {"d": 1}}
    with pytest.raises(InvalidInput, match=reason):
        parse_judged_queries({"queries": [good, entry]})


@pytest.mark.parametrize("obj", [None, [], {}, {"queries": {}}, {"queries": []}, "x"])
def test_another_shape_is_refused_with_the_right_one(obj: object) -> None:
    with pytest.raises(InvalidInput, match="judgments"):
        parse_judged_queries(obj)


def test_queries_join_their_judgments_or_are_named() -> None:
    assert judged_queries({"a": "x", "b": "y"}, {"b": {"d": 1}}) == [JudgedQuery("b", "y", {"d": 1})]
    with pytest.raises(InvalidInput, match="2 judged queries have no text: 'c', 'd'"):
        judged_queries({"a": "x"}, {"a": {"d": 1}, "c": {"d": 1}, "d": {"d": 1}})
    texts = parse_queries([b'{"_id": "a", "text": "x"}\n{"_id": "b", "text": " "}'])
    assert judged_queries(texts, {"a": {"d": 1}}) == [JudgedQuery("a", "x", {"d": 1})]
    with pytest.raises(InvalidInput, match="1 judged queries have no text: 'b'"):
        judged_queries(texts, {"b": {"d": 1}})


@pytest.mark.parametrize("content", [b"{", b'{"_id": "1"}', b'{"_id":"1","text":"t"}\n{"_id":"1","text":"t"}', b"\xff"])
def test_broken_queries_are_refused_with_the_line(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="line"):
        parse_queries(io.BytesIO(content))


def write_beir(folder: Path, qrels: str) -> None:
    (folder / qrels).parent.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "t"}\n')
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "how"}) + "\n")
    (folder / qrels).write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")


@pytest.mark.parametrize(
    ("qrels", "split"), [("qrels.tsv", "test"), ("qrels_dev.tsv", "dev"), ("qrels/train.tsv", "train")]
)
def test_a_beir_folder_in_either_layout(tmp_path: Path, qrels: str, split: str) -> None:
    write_beir(tmp_path, qrels)
    found = read_beir(tmp_path)
    assert found.corpus == tmp_path / "corpus.jsonl"
    assert (found.queries, found.qrels) == ({"q1": "how"}, {split: {"q1": {"d1": 1}}})


def test_a_folder_that_is_no_beir_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl, queries\.jsonl, qrels\.tsv missing"):
        read_beir(tmp_path)
    write_beir(tmp_path, "qrels.tsv")
    (tmp_path / "qrels.tsv").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match=r"qrels\.tsv: not valid UTF-8"):
        read_beir(tmp_path)
    (tmp_path / "qrels.tsv").write_text("q1 d1\n")
    with pytest.raises(InvalidInput, match=r"qrels\.tsv: .*line 1"):
        read_beir(tmp_path)


@pytest.mark.parametrize(
    ("name", "judged", "judgments"),
    [
        ("adi", 35, 170),
        ("scifact", 300, 339),
        ("esci-us-small", 150, 6678),
        ("medline", 30, 696),
        ("wikiqa", 243, 2350),
    ],
)
def test_real_collections_are_read_as_their_readme_counts_them(
    shared_data: Path, name: str, judged: int, judgments: int
) -> None:
    found = read_beir(shared_data / name)
    queries = judged_queries(found.queries, found.qrels["test"])
    assert len(queries) == judged
    assert sum(len(query.judgments) for query in queries) == judgments


def test_scifact_has_its_train_split(shared_data: Path) -> None:
    assert len(read_beir(shared_data / "scifact").qrels["train"]) == 809
