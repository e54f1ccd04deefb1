"""Click-only logs: CSV and NDJSON, the names fields may have, what is refused, and ids that stay the same."""

from __future__ import annotations

import gzip
import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import InvalidInput
from tribrid.logs.clicks import Click, ClickLog

T0_US = 1_316_004_388_660_000
CLICK = {"query": "gears of war", "doc_id": "98", "timestamp": "2011-09-14 12:46:28.66"}


def clicks(text: str | bytes) -> list[Click | Skipped]:
    with ClickLog() as log:
        skipped = list(log.read(io.BytesIO(text.encode() if isinstance(text, str) else text)))
        found = [click for _, clicks in log.by_query() for click in clicks]
    return sorted([*skipped, *found], key=lambda item: item.line)


def test_csv_with_a_header() -> None:
    rows = "user,sku,category,query,click_time,query_time\nu1,98,abc, Gears of war ,2011-09-14 12:46:28.66,x\n"
    assert clicks(rows) == [Click(2, "Gears of war", "98", T0_US, "u1")]
    assert clicks("\ufeff" + rows.replace(",", "\t").replace("\n", "\r\n")) == clicks(rows)
    assert clicks(rows.replace(",", ";")) == clicks(rows)


@pytest.mark.parametrize("doc", ["doc_id", "document_id", "document", "doc", "item_id", "product_id", "sku"])
@pytest.mark.parametrize("time", ["timestamp", "time", "click_time", "clicked_at"])
def test_fields_by_any_of_their_names(doc: str, time: str) -> None:
    record = {"user_query": "gears of war", doc: 98, time: T0_US // 1000, "user_id": 4}
    assert clicks(json.dumps(record)) == [Click(1, "gears of war", "98", T0_US, "4")]
    rows = f"user_query,{doc},{time},user_id\ngears of war,98,{T0_US / 1e6},4\n"
    assert clicks(rows) == [Click(2, "gears of war", "98", T0_US, "4")]


@pytest.mark.parametrize("header", ["Query,Doc_ID,Click Time", "QUERY,docId,TimeStamp", "Search-Term,SKU,clickedAt"])
def test_fields_however_they_are_spelled(header: str) -> None:
    assert clicks(f"{header}\ngears of war,98,2011-09-14 12:46:28.66\n") == [Click(2, "gears of war", "98", T0_US)]
    record = dict(zip(header.split(","), CLICK.values(), strict=True))
    assert clicks(json.dumps(record)) == [Click(1, "gears of war", "98", T0_US)]


@pytest.mark.parametrize(
    "time",
    [
        "2024-01-15 10:00:00 UTC",
        "2024-01-15 10:00:00.000 GMT",
        "2024-01-15 11:00:00 +0100",
        "2024-01-15T10:00:00 Z",
        "2024/01/15 10:00:00",
        "15/Jan/2024:10:00:00 +0000",
        "[15/Jan/2024:10:00:00 +0000]",
        "Mon, 15 Jan 2024 10:00:00 GMT",
        "15-jan-2024 10:00",
        "1705312800",
    ],
)
def test_times_as_logs_write_them(time: str) -> None:
    [click] = clicks(json.dumps({**CLICK, "timestamp": time}))
    assert isinstance(click, Click)
    assert click.at_us == 1_705_312_800_000_000


@pytest.mark.parametrize(
    "time", ["01/02/2024 10:00:00", "2024-01-15 10:00:00 EST", "15 Foo 2024 10:00", "40/Jan/2024:10:00:00"]
)
def test_times_that_could_be_others_are_refused(time: str) -> None:
    [item] = clicks(json.dumps({**CLICK, "timestamp": time}))
    assert isinstance(item, Skipped)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"timestamp": None}, "timestamp is missing"),
        ({"timestamp": "yesterday"}, "timestamp is not an ISO 8601 time"),
        ({"query": " "}, "query is empty"),
        ({"query": None}, "query is not a string"),
        ({"doc_id": None}, "doc_id is missing"),
        ({"doc_id": "a\nb"}, "doc_id holds a control character or broken Unicode"),
    ],
)
def test_what_is_no_click_is_skipped(fields: dict[str, Any], reason: str) -> None:
    [item] = clicks(json.dumps({**CLICK, **fields}))
    assert isinstance(item, Skipped)
    assert (item.line, item.reason) == (1, reason)


def test_broken_rows_do_not_stop_the_others() -> None:
    rows = b"query,doc_id,time\na,1,2011\nb,2,2011-01-01\n\nc\xff,3,2011-01-01\nd,4\ne,5,20110101\n,6,2011-01-01\n"
    found = clicks(rows)
    assert [item.doc_id for item in found if isinstance(item, Click)] == ["2", "5"]
    assert {item.line: item.reason for item in found if isinstance(item, Skipped)} == {
        2: "timestamp is not an ISO 8601 time",
        5: "not valid UTF-8 (byte 2 of the line)",
        6: "2 columns where the header has 3",
        8: "query is not a string",
    }


def test_a_quote_that_is_never_closed_costs_only_some_lines() -> None:
    lines = ['"open,1,2011-01-01', *(f"q{number},{number},2011-01-01" for number in range(20_000))]
    found = clicks("\n".join(["query,doc_id,time", *lines]))
    [lost] = [item for item in found if isinstance(item, Skipped)]
    assert lost.line == 2
    assert lost.reason.startswith("not valid CSV up to line ")
    assert sum(isinstance(item, Click) for item in found) > 10_000


@pytest.mark.parametrize(
    "text",
    [
        "query,doc_id\na,1\n",
        "nonsense",
        "a,1,2011-01-01\n",
        "query,doc_id,time\ra,1,2011-01-01\r",
        gzip.compress(b"query,doc_id,time\na,1,2011-01-01\n", mtime=0).decode("latin-1"),
        "x" * 200_000,
    ],
    ids=["columns", "nonsense", "header", "carriage returns", "gzip", "long"],
)
def test_a_file_without_the_columns_is_refused_with_their_names(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"line feed.*sku.*click_time"):
        clicks(text)


def test_clicks_come_query_by_query(tmp_path: Path) -> None:
    texts = ["Xbox", "ps4", "xbox ", "XBOX", "wii"]
    records = [{**CLICK, "query": text, "doc_id": str(number)} for number, text in enumerate(texts)]
    body = "\n".join(map(json.dumps, [*records, {**CLICK, "timestamp": None}])).encode()
    with ClickLog() as log:
        assert [item.line for item in log.read(io.BytesIO(body))] == [6]
        assert len(log) == 5
        by_query = [[click.doc_id for click in found] for _, found in log.by_query()]
    assert sorted(by_query) == [["0", "2", "3"], ["1"], ["4"]]


def test_a_query_id_is_the_same_wherever_the_click_stands() -> None:
    [click] = clicks(json.dumps(CLICK))
    [other] = clicks("\n\n" + json.dumps({**CLICK, "query": " GEARS of  war"}))
    assert isinstance(click, Click)
    assert isinstance(other, Click)
    assert click.query_id("c") == other.query_id("c")
    assert len(click.query_id("c")) == 32
    different = [{"doc_id": "99"}, {"timestamp": "2011-09-14"}, {"user": "u1"}, {"query": "gears"}]
    others = chain.from_iterable(clicks(json.dumps({**CLICK, **fields})) for fields in different)
    ids = [
        click.query_id("c"),
        click.query_id("d"),
        *(found.query_id("c") for found in others if isinstance(found, Click)),
    ]
    assert len(set(ids)) == 6
