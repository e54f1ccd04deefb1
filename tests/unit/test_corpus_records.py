"""Records in: what is taken, what is skipped and where, and that nothing in a stream can raise."""

from __future__ import annotations

import io
import json
import tracemalloc
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.inline import inline_document
from tribrid.corpus.jsonlines import Item, Loss, json_items
from tribrid.corpus.records import Skipped, parse_record, parse_records
from tribrid.errors import InvalidInput
from tribrid.types import Document

MAX = 1000


def parse(data: bytes, max_document_chars: int = MAX) -> list[Document | Skipped]:
    return list(parse_records(io.BytesIO(data), max_document_chars=max_document_chars))


def line(**fields: object) -> bytes:
    return json.dumps({"doc_id": "a", "text": "t", **fields}).encode() + b"\n"


def test_a_beir_line_is_a_document() -> None:
    [document] = parse(b'{"_id": "4983", "title": "T", "text": "words", "metadata": {"year": 1999}}\n')
    assert document == Document("4983", text="words", title="T", metadata={"year": 1999})


def test_own_form_wins_over_beirs_id_and_keeps_the_uri() -> None:
    [document] = parse(b'{"doc_id": "a", "_id": "b", "text": "t", "uri": "https://x.test/a"}')
    assert document == Document("a", text="t", uri="https://x.test/a")


def test_a_field_that_nothing_reads_is_told_of_once() -> None:
    found = parse(line(lang="de") + line(text="") + line(doc_id="b", lang="en", price=3))
    told = "the field {!r} is not read: what documents are filtered by belongs in `metadata`"
    assert found == [
        Document("a", text="t"),
        Loss(1, told.format("lang"), "a"),
        Skipped(2, "text and title are empty", "a"),
        Document("b", text="t"),
        Loss(3, told.format("price"), "b"),
    ]


def test_an_integer_id_is_its_decimal_text_and_true_is_none() -> None:
    assert parse(b'{"_id": 17, "text": "t"}') == [Document("17", text="t")]
    assert parse(b'{"_id": true, "text": "t"}') == [Skipped(1, "doc_id is not a string")]


def test_a_title_alone_is_a_document_and_null_counts_as_absent() -> None:
    assert parse(b'{"_id": "a", "title": "T", "text": null, "uri": null, "metadata": null}') == [
        Document("a", text="", title="T")
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"{nonsense}", "not valid JSON"),
        (b"[1]x", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"text": "t"}', "doc_id is missing"),
        (line(doc_id=""), "doc_id is empty"),
        (line(doc_id=" a"), "starts or ends with a space"),
        (line(doc_id="x" * 513), "longer than 512"),
        (line(doc_id="a\nb"), "control character"),
        (line(doc_id="a\u2028b"), "control character"),
        (line(doc_id=["a"]), "doc_id is not a string"),
        (line(text=""), "text and title are empty"),
        (line(text=" \n\t "), "text and title are empty"),
        (b'{"doc_id": "a"}', "text is missing"),
        (line(text=5), "text is not a string"),
        (line(title=["x"]), "title is not a string"),
        (line(uri={}), "uri is not a string"),
        (line(uri="u" * 4097), "uri is longer"),
        (line(metadata=[1]), "metadata is not an object"),
        (line(text="a\x00b"), "text holds a NUL character"),
        (line(title="a\x00b"), "title holds a NUL character"),
        (line(metadata={"k": ["a\x00b"]}), "metadata holds a NUL character"),
        (b'{"doc_id": "a", "text": "\\ud800"}', "text is not valid Unicode"),
        (b'{"doc_id": "a", "text": "\xff"}', "not valid UTF-8 (byte 26 of the line)"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": NaN}}', "NaN is not JSON"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": -Infinity}}', "-Infinity is not JSON"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": 1e999}}', "too large"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": ' + b"9" * 5000 + b"}}", "not valid JSON"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": ' + b"[" * 60 + b"]" * 60 + b"}}", "nested deeper than 50"),
        (b'{"a":' * 100_000, "not valid JSON"),
        (b'{"doc_id": "a", "text": "t", "text": "u"}', "the name 'text' comes twice in one object"),
        (b'{"doc_id": "a", "text": "t", "metadata": {"x": 1, "x": 1}}', "the name 'x' comes twice in one object"),
        (b'{"a": 1, "a": 1} and more', "not valid JSON: Extra data"),
        (line(text="x" * (MAX + 1)), "longer than 1,000 characters (1,001)"),
        (line(title="x" * 600, text="x" * 600), "longer than 1,000 characters (1,200)"),
    ],
)
def test_a_record_that_breaks_a_rule_is_skipped_with_its_line_and_the_rest_goes_in(record: bytes, reason: str) -> None:
    first, *skipped, last = parse(line() + record.strip(b"\n") + b"\n\n" + line(doc_id="z"))
    assert (first, last) == (Document("a", text="t"), Document("z", text="t"))
    [found] = skipped
    assert isinstance(found, Skipped)
    assert (found.line, found.kind) == (2, "invalid")
    assert reason in found.reason


def test_a_skipped_record_names_its_document_when_it_has_a_good_id() -> None:
    assert parse(line(text="")) == [Skipped(1, "text and title are empty", doc_id="a")]


def test_line_numbers_count_blank_lines_and_windows_line_ends() -> None:
    found = parse(b"\xef\xbb\xbf\r\n\n" + line().strip() + b"\r\n\r\nbad\r\n")
    assert [item.line for item in found if isinstance(item, Skipped)] == [5]
    assert found[0] == Document("a", text="t")


def test_a_json_array_gives_positions() -> None:
    found = parse(b' \n [\n{"doc_id":"a","text":"t"}, 7,\n {"doc_id":"b","text":"u"} ] \n')
    assert found == [Document("a", text="t"), Skipped(2, "not a JSON object"), Document("b", text="u")]
    twice = b'[{"doc_id":"a","doc_id":"b","text":"t"},{"doc_id":"b","text":"u"}]'
    assert parse(twice) == [Skipped(1, "the name 'doc_id' comes twice in one object"), Document("b", text="u")]
    assert parse(b"[]") == []
    assert parse(b"") == []


@pytest.mark.parametrize("tail", [b"", b",", b",]", b" 5", b"}", b', {"doc_id"'])
def test_a_broken_array_keeps_what_came_before(tail: bytes) -> None:
    first, *rest = parse(b'[{"doc_id":"a","text":"t"}' + tail)
    assert first == Document("a", text="t")
    assert [type(item) for item in rest] == [Skipped]


def test_invalid_utf8_in_an_array_costs_one_item() -> None:
    found = parse(b'[{"doc_id":"a","text":"\xff"},{"doc_id":"b","text":"u"}]')
    assert found == [
        Skipped(1, "text is not valid Unicode (broken UTF-8)", doc_id="a"),
        Document("b", text="u"),
    ]


def test_a_line_over_the_limit_is_dropped_in_flat_memory() -> None:
    long_line = chain([b'{"doc_id": "big", "text": "'], (b"x" * 10_000 for _ in range(3000)), [b'"}\n'])
    tracemalloc.start()
    found = list(parse_records(chain([line()], long_line, [line(doc_id="z")]), max_document_chars=10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(item) for item in found] == [Document, Skipped, Document]
    assert isinstance(found[1], Skipped)
    assert found[1].line == 2
    assert peak < 12_000_000


def test_ndjson_is_read_in_flat_memory() -> None:
    tracemalloc.start()
    stream = (line(doc_id=str(number), text="x" * 900) for number in range(20_000))
    count = sum(1 for _ in parse_records(stream, max_document_chars=MAX))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000


@given(st.binary(max_size=300), st.integers(1, 40))
def test_arbitrary_bytes_never_raise_and_chunks_do_not_matter(data: bytes, size: int) -> None:
    whole = parse(data)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(parse_records(chunks, max_document_chars=MAX)) == whole


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["doc_id", "_id", "title", "text", "uri", "metadata"]), json_values),
        max_size=5,
    )
)
def test_arbitrary_records_are_documents_or_skipped_one_for_one(records: list[dict[str, object]]) -> None:
    ndjson = parse(b"\n".join(json.dumps(record).encode() for record in records))
    assert len(ndjson) == len(records)
    for found in ndjson:
        if isinstance(found, Document):
            assert found.doc_id
            assert (found.text + found.title).strip()
            found.text.encode()
            json.dumps(found.metadata, allow_nan=False).encode()


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50).filter(str.strip), max_size=5))
def test_ndjson_and_array_say_the_same(texts: list[str]) -> None:
    records = [{"doc_id": str(number), "text": text} for number, text in enumerate(texts)]
    ndjson = parse(b"\n".join(json.dumps(record, ensure_ascii=False).encode() for record in records))
    array = parse(json.dumps(records, indent=1).encode())
    assert [item.reason if isinstance(item, Skipped) else item for item in ndjson] == [
        item.reason if isinstance(item, Skipped) else item for item in array
    ]


def test_many_tiny_chunks_are_linear() -> None:
    data = line(text="x" * 900_000)
    chunks = [data[start : start + 7] for start in range(0, len(data), 7)]
    [item] = json_items(chunks, max_item_bytes=1 << 20)
    assert isinstance(item, Item)


@pytest.mark.parametrize(("name", "count"), [("adi", 82), ("scifact", 5183), ("bestbuy-xbox", 437), ("wikiqa", 11406)])
def test_real_corpora_go_in_whole(shared_data: Path, name: str, count: int) -> None:
    with (shared_data / name / "corpus.jsonl").open("rb") as stream:
        found = list(parse_records(stream, max_document_chars=2_000_000))
    assert [item for item in found if isinstance(item, Skipped)] == []
    assert len(found) == count


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"released": date(2020, 1, 2)}, "holds a date, which JSON does not have"),
        ({"parts": [{"sizes": (1, 2)}]}, "holds a tuple"),
        ({"price": float("nan")}, "holds nan"),
        ({2020: "year"}, "has a name that is no text: 2020"),
    ],
)
def test_what_json_does_not_have_is_refused_before_anything_is_done(metadata: dict[Any, Any], fault: str) -> None:
    record = {"doc_id": "a", "text": "words", "metadata": metadata}
    skipped = parse_record(record, 1, max_document_chars=100)
    assert isinstance(skipped, Skipped)
    assert fault in skipped.reason
    with pytest.raises(InvalidInput, match=r"documents\[3\]: ") as caught:
        inline_document(record, 3, None)
    assert fault in caught.value.detail
