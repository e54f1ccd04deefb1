"""Logs of other engines: read, joined, and honest about what did not join."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logged import T0, T0_US, Imported, ndjson, parse_native_logs, parse_ubi, ubi_event, ubi_query
from tribrid.corpus.jsonlines import Skipped
from tribrid.logs.join import (
    ImportedFeedback,
    ImportedImpression,
    Joined,
    LogJoin,
)
from tribrid.types import Feedback, Impression, ShownDoc, Signal


def shown(impression: Imported) -> list[tuple[str, int]]:
    assert isinstance(impression, ImportedImpression)
    return [(document.doc_id, document.rank) for document in impression.shown]


def skipped(found: list[Imported]) -> list[tuple[str, str]]:
    return [(item.kind, item.reason) for item in found if isinstance(item, Skipped)]


def test_an_impression_comes_before_its_feedback_whatever_the_order_of_the_records() -> None:
    found = list(parse_ubi(ndjson(ubi_event("click", "b"), ubi_query(hits=["a", "b"]))))
    impression, feedback = found
    assert shown(impression) == [("a", 1), ("b", 2)]
    assert isinstance(feedback, ImportedFeedback)
    assert (feedback.signal, feedback.doc_id, feedback.line) == (Signal.CLICK, "b", 1)
    assert feedback.feedback() == Feedback("q", Signal.CLICK, "b", None, T0_US)


def test_an_impression_is_the_stores_impression() -> None:
    [found] = parse_ubi(ndjson(ubi_query(hits=["a"])))
    assert isinstance(found, ImportedImpression)
    impression = found.impression("shop")
    assert (impression.corpus_id, impression.query, impression.created_us) == ("shop", "ps4", T0_US)
    assert (impression.source, impression.reranked, impression.fallback_reason) == ("import", False, None)


@pytest.mark.parametrize("first", [0, 1])
def test_impression_events_stand_in_for_hits_and_count_from_zero_or_one(first: int) -> None:
    events = [ubi_event("impression", name, first + place) for place, name in enumerate("cab")]
    [impression] = parse_ubi(ndjson(ubi_query(), *reversed(events)))
    assert shown(impression) == [("c", 1), ("a", 2), ("b", 3)]


def test_impression_events_alone_make_an_impression_with_distinct_ranks() -> None:
    events = [ubi_event("impression", name, place, user_query="ps4") for name, place in [("a", 1), ("b", 1), ("c", 9)]]
    [impression] = parse_ubi(ndjson(*events))
    assert shown(impression) == [("a", 1), ("b", 2), ("c", 9)]


def test_hits_named_otherwise_than_events_give_way_to_the_impression_events() -> None:
    found = list(parse_ubi(ndjson(ubi_query(hits=["_1"]), ubi_event("impression", "a", 1), ubi_event("click", "a", 1))))
    assert shown(found[0]) == [("a", 1)]
    assert isinstance(found[1], ImportedFeedback)


def test_an_internal_id_joins_where_the_object_id_does_not() -> None:
    event = ubi_event("click", "ean-1", attributes={"object": {"object_id": "ean-1", "internal_id": 17}})
    found = list(parse_ubi(ndjson(ubi_query(hits=[17]), event)))
    assert isinstance(found[1], ImportedFeedback)
    assert found[1].doc_id == "17"


@pytest.mark.parametrize(
    ("action", "attributes", "signal", "value"),
    [
        ("click", {}, Signal.CLICK, None),
        ("Item-Click", {}, Signal.CLICK, None),
        ("add_to_cart", {}, Signal.THUMBS_UP, None),
        ("declined product", {}, Signal.THUMBS_DOWN, None),
        ("dwell", {"dwell_time": 12}, Signal.DWELL, 12.0),
        ("rating", {"value": 4}, Signal.RATING, 4.0),
    ],
)
def test_actions_become_signals(action: str, attributes: dict[str, Any], signal: Signal, value: float | None) -> None:
    event = ubi_event(action, "a")
    event["event_attributes"] |= attributes
    _, feedback = parse_ubi(ndjson(ubi_query(hits=["a"]), event))
    assert isinstance(feedback, ImportedFeedback)
    assert (feedback.signal, feedback.value) == (signal, value)


@pytest.mark.parametrize(
    ("event", "kind", "reason"),
    [
        (ubi_event("brand_filter", "a"), "ignored", "action 'brand_filter' is not feedback"),
        (ubi_event("click", "z"), "unjoined", "the document was not shown"),
        (ubi_event("click", "a", query_id="other"), "unjoined", "no impression has this query_id"),
        (ubi_event("click", "a", user_query="xbox"), "unjoined", "the query_id stands for another query"),
        ({**ubi_event("click", "a"), "query_id": None}, "unjoined", "query_id is missing"),
        ({**ubi_event("click", "a"), "timestamp": "yesterday"}, "invalid", "timestamp is not an ISO 8601 time"),
        ({**ubi_event("click", "a"), "timestamp": True}, "invalid", "timestamp is not a time"),
        (
            ubi_event("rating", "a", attributes={"rating": 9}),
            "invalid",
            "the value of a rating is not a number from 1 to 5",
        ),
        (ubi_event("dwell", "a"), "invalid", "the value of a dwell is not a number from 0 to 1000000000"),
        ([1], "invalid", "not a JSON object"),
        ({}, "invalid", "user_query is not a string"),
    ],
)
def test_what_does_not_fit_is_handed_back_with_its_kind(event: Any, kind: str, reason: str) -> None:
    found = list(parse_ubi(ndjson(ubi_query(hits=["a"]), event)))
    assert [item.line for item in found if isinstance(item, Skipped)] == [2]
    assert skipped(found) == [(kind, reason)]


def test_one_query_id_for_two_queries_keeps_the_one_with_hits() -> None:
    found = list(
        parse_ubi(ndjson(ubi_query(text="ps"), ubi_query(hits=["a"]), ubi_query(text="PS4 "), ubi_query(text="p")))
    )
    assert shown(found[0]) == [("a", 1)]
    assert skipped(found) == [("ignored", "the query_id stands for another query already")] * 2


def test_an_event_sent_twice_counts_once() -> None:
    found = list(parse_ubi(ndjson(ubi_query(hits=["a"]), ubi_event("click", "a"), ubi_event("click", "a"))))
    assert skipped(found) == [("ignored", "the same event came before")]


def test_a_query_that_showed_nothing_is_ignored_and_its_clicks_unjoined() -> None:
    found = list(parse_ubi(ndjson(ubi_query(), ubi_event("click", "a"))))
    assert [kind for kind, _ in skipped(found)] == ["ignored", "unjoined"]


def test_search_answers_and_bulk_files_are_unwrapped() -> None:
    hit = {"_index": "ubi_queries", "_source": ubi_query(hits=["a"])}
    [impression] = parse_ubi(ndjson({"index": {}}, hit))
    assert shown(impression) == [("a", 1)]
    array = io.BytesIO(json.dumps([hit, ubi_event("click", "a")]).encode())
    assert len(list(parse_ubi(array))) == 2


@pytest.mark.parametrize("at", [T0, "2026-01-02T03:04:05+0000", "2026-01-02T04:04:05.000+01:00", "2026-01-02 03:04:05"])
def test_times_are_utc_microseconds(at: str) -> None:
    [impression] = parse_ubi(ndjson(ubi_query(hits=["a"], at=at)))
    assert isinstance(impression, ImportedImpression)
    assert impression.created_us == T0_US


@pytest.mark.parametrize("at", [T0_US, T0_US // 1000, T0_US / 1e6, T0_US // 10**6, "1767323045", "1767323045000"])
def test_epoch_numbers_are_seconds_milliseconds_or_microseconds(at: float | str) -> None:
    [impression] = parse_ubi(ndjson(ubi_query(hits=["a"], at=at)))
    assert isinstance(impression, ImportedImpression)
    assert impression.created_us == T0_US


@pytest.mark.parametrize("at", [-1, 10**18, "20260102030405", "0001-01-01", "9999-12-31T23:59:59-23:59", None])
def test_times_out_of_range_are_refused(at: Any) -> None:
    [item] = parse_ubi(ndjson(ubi_query(hits=["a"], at=at)))
    assert isinstance(item, Skipped)
    assert "timestamp" in item.reason


def test_each_impression_is_followed_by_its_feedback_in_time() -> None:
    late, early = ubi_query("late", hits=["a"], at=2000), ubi_query("early", hits=["a"], at=1000)
    clicks = [{**ubi_event("click", "a", query_id="early"), "timestamp": at} for at in (1009, 1003)]
    found = list(parse_ubi(ndjson(late, *clicks, early)))
    assert [item.created_us // 10**6 for item in found if not isinstance(item, Skipped)] == [1000, 1003, 1009, 2000]


def test_clients_are_kept_where_the_log_names_them() -> None:
    [told, alone] = parse_ubi(
        ndjson(
            {**ubi_query("a", hits=["a"]), "client_id": "somebody"},
            ubi_event("impression", "a", 1, query_id="b", user_query="ps4", client_id=17),
        )
    )
    assert isinstance(told, ImportedImpression)
    assert isinstance(alone, ImportedImpression)
    assert (told.impression("shop").client_id, alone.client_id) == ("somebody", "17")
    [own] = parse_native_logs(ndjson(native(client_id={"not": "an id"})))
    assert isinstance(own, ImportedImpression)
    assert own.client_id is None


def test_an_event_joins_a_list_that_was_stored_before() -> None:
    stored = Impression("q", "shop", "PS4", (ShownDoc("a", 1, 2.0, 0, 9, {}),), "m", True, None, 5.0, 1_000_000)
    asked: list[str] = []

    def lists(query_ids: Sequence[str]) -> dict[str, Impression]:
        asked.extend(query_ids)
        return {"q": stored}

    events = [
        ubi_event("click", "a", user_query="ps4"),
        ubi_event("click", "z"),
        ubi_event("click", "a", query_id="other"),
    ]
    with LogJoin("ubi") as log:
        assert list(log.read(ndjson(*events, ubi_query("own", hits=["b"])))) == []
        other, own, known = log.joined(lists)
    assert sorted(asked) == ["other", "q"]
    assert (known.impression, known.stored, [event.doc_id for event in known.feedback]) == (None, stored, ["a"])
    assert [item.reason for item in known.skipped] == ["the document was not shown"]
    assert own.impression is not None
    assert [item.reason for item in other.skipped] == ["no impression has this query_id"]


def many(queries: int) -> Iterator[bytes]:
    """Two clicks on each query, all of them before the queries."""
    for number in range(2 * queries):
        yield json.dumps(ubi_event("click", f"d{number // queries}", query_id=f"q{number % queries}")).encode() + b"\n"
    for number in range(queries):
        yield json.dumps(ubi_query(f"q{number}", hits=["d0", "d1", "d2"])).encode() + b"\n"


def peak_bytes(queries: int) -> int:
    tracemalloc.start()
    with LogJoin("ubi") as log:
        assert list(log.read(many(queries))) == []
        assert sum(len(joined.feedback) for joined in log.joined()) == 2 * queries
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribrid.logs.blocks._BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr("tribrid.logs.staging._BUFFERED", 1000)
    monkeypatch.setattr("tribrid.store.columns._AT_ONCE", 1000)
    peak_bytes(500)  # what the first reading loads and keeps
    small, large = peak_bytes(1_000), peak_bytes(6_000)
    assert large < 1.5 * small, (small, large)


@pytest.mark.parametrize("block_bytes", [1 << 10, 1 << 16])
def test_small_blocks_join_as_large_ones(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    def found() -> list[Joined]:
        with LogJoin("ubi") as log:
            assert list(log.read(many(300))) == []
            assert list(log.joined()) == list(log.joined())
            return list(log.joined())

    whole = found()
    monkeypatch.setattr("tribrid.logs.blocks._BLOCK_BYTES", block_bytes)
    assert found() == whole


def test_a_query_id_that_stands_for_everything_does_not_fill_the_memory() -> None:
    def log() -> Iterator[bytes]:
        yield json.dumps(ubi_query("undefined", hits=["a"])).encode() + b"\n"
        for number in range(30_000):
            event = {**ubi_event("click", "a" * 200, query_id="undefined"), "timestamp": number}
            yield json.dumps(event).encode() + b"\n"

    with LogJoin("ubi") as join:
        assert list(join.read(log())) == []
        reasons = Counter(item.reason for joined in join.joined() for item in joined.skipped)
    assert reasons.keys() == {"the document was not shown", "too many records have this query_id"}
    assert reasons.total() == 30_000


def native(**fields: Any) -> dict[str, Any]:
    return {"query_id": "q", "query": "how", "timestamp": T0, "shown": ["a", {"doc_id": "b", "score": 0.5}], **fields}


def test_native_records_join() -> None:
    feedback = [
        {"query_id": "q", "signal": "rating", "value": 5, "doc_id": "b"},
        {"query_id": "q", "signal": "thumbs_up"},
    ]
    impression, first, second = parse_native_logs(ndjson(*feedback, native()))
    assert shown(impression) == [("a", 1), ("b", 2)]
    assert isinstance(first, ImportedFeedback)
    assert isinstance(second, ImportedFeedback)
    assert (first.signal, first.value, first.created_us) == (Signal.RATING, 5.0, T0_US)
    assert (second.signal, second.doc_id) == (Signal.THUMBS_UP, None)


def test_native_ranks_and_scores_are_kept() -> None:
    [impression] = parse_native_logs(
        ndjson(native(shown=[{"doc_id": "b", "rank": 12, "score": 2}, {"doc_id": "a", "rank": 11}]))
    )
    assert shown(impression) == [("a", 11), ("b", 12)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (native(query_id=None), "query_id is missing"),
        (native(query=3), "query is not a string"),
        (native(query="x\0"), "query holds a NUL character"),
        (native(query="x" * 10_001), "query is longer"),
        (native(timestamp=None), "timestamp is missing"),
        (native(shown=None), "shown is not a list"),
        (native(shown=["a\n"]), "a document of shown holds a control character"),
        (native(shown=[{"doc_id": "a", "rank": 0}]), "a rank of shown"),
        (native(shown=[{"doc_id": "a", "rank": 2}, "b"]), "the same rank"),
        (native(shown=[{"doc_id": "a", "score": "1"}]), "a score of shown"),
        (native(shown=[{"doc_id": "a", "score": 10**400}]), "a score of shown"),
        ({"query_id": "q", "signal": "noclick", "doc_id": "a"}, "signal is none of click"),
        ({"query_id": "q", "signal": ["click"], "doc_id": "a"}, "signal is none of click"),
        ({"query_id": "q", "signal": "dwell", "doc_id": "a", "value": -1}, "the value of a dwell"),
    ],
)
def test_broken_native_records_are_skipped(record: dict[str, Any], reason: str) -> None:
    [item] = parse_native_logs(ndjson(record))
    assert isinstance(item, Skipped)
    assert reason in item.reason
    assert item.kind == "invalid"


def test_skipped_records_name_the_file_they_stood_in(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text("nonsense\n")
    with path.open("rb") as stream:
        [item] = parse_ubi(ndjson(), stream)
    assert isinstance(item, Skipped)
    assert (item.source, item.line) == ("events.json", 1)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["q", "a", "click", "", T0])
objects = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["object", "position", "object_id", "ordinal", "doc_id", "rank"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
fields = [
    "query_id",
    "user_query",
    "query",
    "action_name",
    "timestamp",
    "event_attributes",
    "shown",
    "signal",
    "doc_id",
]


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from([*fields, "value", "query_response_hit_ids"]), objects), max_size=4))
def test_arbitrary_records_never_raise(records: list[dict[str, Any]]) -> None:
    for parse in (parse_ubi, parse_native_logs):
        for item in parse(ndjson(*records)):
            assert isinstance(item, ImportedImpression | ImportedFeedback | Skipped)


def test_the_ubi_dumps_of_esci_join(shared_data: Path) -> None:
    raw = shared_data / "esci-us-small" / "raw"
    with (
        (raw / "dashboards_ubi_queries.json").open("rb") as queries,
        (raw / "dashboards_ubi_events.json").open("rb") as events,
    ):
        found = list(parse_ubi(queries, events))
    kinds = Counter(type(item) for item in found)
    assert kinds[ImportedImpression] == 279
    assert kinds[ImportedFeedback] == 512
    unjoined = sum(1 for item in found if isinstance(item, Skipped) and item.kind == "unjoined")
    assert unjoined < 100
    assert not any(item.kind == "invalid" for item in found if isinstance(item, Skipped))
    ranks = [[document.rank for document in item.shown] for item in found if isinstance(item, ImportedImpression)]
    assert all(row[0] >= 1 and row == sorted(set(row)) for row in ranks)
