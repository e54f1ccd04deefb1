"""What DuckDB reads of a log is what Python reads of it, line by line; where the two would differ, Python reads."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.corpus.jsonlines import Skipped
from tribrid.logs.join import LogJoin

Found = tuple[list[Any], Counter[Any], list[int]]

# Lines that one of the two readers takes and the other does not, or reads otherwise; each in the place of a good one.
QUERY = '{"query_id": "q1", "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045'
HITS = '{"query_id": "q1", "user_query": "tea", "timestamp": 1767323045, "query_response_hit_ids": '
TIME = '{"query_id": "q1", "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": '
EVENT = '{"action_name": "click", "query_id": "q0", "timestamp": 1767323046'
OF_A = '"event_attributes": {"object": {"object_id": "a"}}'
ODD = [
    QUERY + ', "query_id": "q2"}',
    QUERY + ', "n": NaN}',
    QUERY + ',}',
    HITS + '["a",]}',
    QUERY + ', "n": -Infinity}',
    QUERY + ', "n": 1e999}',
    QUERY + ', "n": nan}',
    QUERY + ', "n": inf}',
    QUERY + ', "n": %s}' % ("9" * 5000),
    QUERY + ', "o": {"a": 1, "a": 2}}',
    QUERY + ', "o": [{"a": 1, "a": 2}]}',
    QUERY + ', "query_attributes": {}}',
    QUERY + ', "query_attributes": {"x": {}}}',
    '{"query_id": 12, "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    '{"query_id": -0, "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    '{"query_id": 12.0, "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    '{"query_id": "2024-01-02", "user_query": "1e5", "query_response_hit_ids": ["007"], "timestamp": 1767323045}',
    '{"query_id": "q1", "user_query": " tea\u00a0", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    '{"query_id": "q1", "user_query": "Käse \u2028", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    '{"query_id": "q1", "user_query": "\\u0074ea", "query_response_hit_ids": ["a"], "timestamp": 1767323045}',
    HITS + '["a", "b", "a", "c"]}',
    HITS + '["a", 7]}',
    HITS + '[" a"]}',
    HITS + '"a"}',
    HITS + '["%s"]}' % ("a" * 513),
    TIME + '"1767323045"}',
    TIME + '"2026-02-30T00:00:00Z"}',
    TIME + '"2026-02-03T23:59:60Z"}',
    TIME + '99999999999999999}',
    QUERY + ', "client_id": 7}',
    QUERY + ', "client_id": " x"}',
    QUERY + ', "client_id": null}',
    '  {"query_id": "q1", "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045} ',
    '{"_source": {"query_id": "q1", "user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1767323045}}',
    '{"index": {}}',
    "{}",
    "",
    "   ",
    "null",
    '["a"]',
    "{'query_id': 1}",
    '{"query_id": "q1"',
    "\ufeff{}",
    EVENT + ', "event_attributes": {"object": {"object_id": 17}}}',
    EVENT + ', "event_attributes": {"object": {"object_id": "z", "internal_id": "a"}}}',
    EVENT + ', "event_attributes": {"object.object_id": "a", "object": {"object_id": "b"}}}',
    EVENT + ', "event_attributes": {"object_id": "b", "object": {"object_id": "a"}}}',
    EVENT + ', "event_attributes": "{\\"object\\": {\\"object_id\\": \\"a\\"}}"}',
    EVENT + ', "event_attributes.object": {"object_id": "b"}, ' + OF_A + "}",
    EVENT + ', "event_attributes": {"position": {"ordinal": 1}}}',
    EVENT + ', "user_query": "Tea", ' + OF_A + "}",
    EVENT + ', "user_query": "", ' + OF_A + "}",
    EVENT + ', "user_query": "xbox", ' + OF_A + "}",
    ('{"action_name": "dwell", "query_id": "q0", "timestamp": 1767323046,'
    ' "event_attributes": {"dwell_time": 40, "object": {"object_id": "a"}}}'),
    '{"action_name": "impression", "query_id": "q0", "timestamp": 1767323046, ' + OF_A + "}",
    ('{"action_name": "brand filter", "query_id": "q0", "timestamp": 1767323046,'
    ' "event_attributes": {"object": {"object_id": "a", "object_id": "b"}}}'),
    '{"action_name": ["click"], "query_id": "q0", "timestamp": 1767323046, ' + OF_A + "}",
    '{"action_name": "click", "query_id": null, "timestamp": 1767323046, ' + OF_A + "}",
    ('{"action_name": "Item-Click", "query_id": "q0", "timestamp": 1767323046,'
    ' "event_attributes": {"object": {"object_id": "a"}, "position": {"ordinal": 0, "xy": {"x": 1.5, "y": 2}}}}'),
]  # fmt: skip


def query(query_id: Any, hits: list[Any], at: Any = 1767323045, **more: Any) -> dict[str, Any]:
    return {"query_id": query_id, "user_query": "tea", "query_response_hit_ids": hits, "timestamp": at, **more}


def event(query_id: Any, doc_id: Any, action: Any = "click", at: Any = 1767323046, **more: Any) -> dict[str, Any]:
    attributes = {"object": {"object_id": doc_id}, "position": {"ordinal": 1}}
    return {"action_name": action, "query_id": query_id, "timestamp": at, "event_attributes": attributes, **more}


def found(body: bytes, looked_at: int, monkeypatch: pytest.MonkeyPatch) -> Found:
    """What a log joins, and how often each line is said not to be taken, and why."""
    monkeypatch.setattr("tribrid.logs.blocks._LOOKED_AT", looked_at)
    with LogJoin("ubi") as log:
        skipped = list(log.read(io.BytesIO(body)))
        joined = [(one.records, one.impression, one.feedback, sorted(map(str, one.skipped))) for one in log.joined()]
        evidence = log.evidence
        counts = [evidence.queries, evidence.queries_with_hits, evidence.events, evidence.rejected_events]
    reasons: Counter[Any] = Counter()
    for item in skipped:
        assert isinstance(item, Skipped)
        reasons[item.kind, item.reason] += item.times
    lines = sorted(item.line for item in skipped if item.kind != "ignored")
    return joined, reasons, [*counts, *lines]


def same(body: bytes) -> Found:
    with pytest.MonkeyPatch.context() as patch:
        by_duckdb, by_python = found(body, 0, patch), found(body, 1 << 60, patch)
    assert by_duckdb == by_python
    return by_duckdb


@pytest.mark.parametrize("line", ODD, ids=range(len(ODD)))
def test_an_odd_line_is_read_as_python_reads_it(line: str) -> None:
    good = [query("q0", ["a", "b"]), event("q0", "b"), query("q9", ["c"]), event("q9", "c", "add_to_cart")]
    before = [json.dumps(record) for record in good]
    same("\n".join([*before[:2], line, *before[2:]]).encode())
    same((line + "\n").encode())
    same((line + "\r\n" + before[0]).encode("utf-8"))


def test_all_odd_lines_together() -> None:
    same("\n".join(ODD).encode())
    same(b"\n".join([*(line.encode() for line in ODD), b'{"query_id": "\xff"}', b"{}"]))


TEXTS = ["a", "b", "q", "click", "tea", " tea", "tea\u3000", "K\u00e4se", "\u200b", "\x7f", 'a"b', "a\\b", "", "null"]
OTHERS: list[Any] = [
    0,
    1,
    -1,
    1.5,
    10**18,
    True,
    None,
    [],
    {},
    ["a"],
    ["a", "b"],
    [1, "a"],
    {"object_id": "a"},
    {"object": {}},
]
TIMES = [1767323045, 1767323045123, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.25Z", "2026-01-02 03:04:05"]
VALUES = st.sampled_from([*TEXTS, *OTHERS, *TIMES])
NAMES = [
    "query_id",
    "user_query",
    "query_response_hit_ids",
    "timestamp",
    "client_id",
    "action_name",
    "event_attributes",
]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2)), max_size=8))
def test_records_with_other_values_are_read_the_same(changes: list[tuple[bool, dict[str, Any]]]) -> None:
    good = (query("q", ["a", "b"]), event("q", "a"))
    records = [{**good[is_event], **changed} for is_event, changed in changes]
    same("\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode())


def test_a_plain_log_leaves_nothing_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    records: list[dict[str, Any]] = []
    for number in range(300):
        hits = [f"B{rng.randrange(1000):05}" for _ in range(8)]
        records += [query(f"q{number}", hits, client_id="c1", query_attributes={}), event(f"q{number}", hits[2])]
        records.append(event(f"q{number}", hits[3], "product_hover", message="Look, an Item"))
    body = "".join(json.dumps(record) + "\n" for record in records).encode()
    joined, reasons, _ = same(body)
    assert len(joined) == 300
    assert reasons == {("ignored", "action 'product_hover' is not feedback"): 300}
    monkeypatch.setattr("tribrid.logs.blocks._LOOKED_AT", 0)
    monkeypatch.setattr("tribrid.logs.blocks.Blocks._one", lambda *_: pytest.fail("a plain line was read by Python"))
    with LogJoin("ubi") as log:
        told = list(log.read(io.BytesIO(body)))
    assert [item.line for item in told] == [3 * number for number in range(1, 21)]
    assert sum(item.times for item in told) == 300
