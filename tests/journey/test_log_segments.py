"""A large log is stored as segments, and answers, mines and goes as the same log in rows."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tribrid.answers.logs import LogImport
from tribrid.app import Tribrid
from tribrid.config.sections import MiningConfig
from tribrid.errors import InvalidInput
from tribrid.mining.clicks.labels import log_groups
from tribrid.types import Document

pytestmark = pytest.mark.timeout(240)
T0 = 1_767_323_045_000


def log(queries: int = 400) -> bytes:
    """A log with everything in it: what is plain, and what is not."""
    rng = random.Random(3)
    lines: list[Any] = []
    for number in range(queries):
        query_id, at = f"id-{number:05}", T0 + number * 1000
        hits = [f"B{rng.randrange(60):04}" for _ in range(6)]
        client = {"client_id": f"c{rng.randrange(20)}"} if number % 5 else {}
        query = {"query_id": query_id, "user_query": f"query {rng.randrange(40)}", "query_response_hit_ids": hits}
        lines.append({**query, "timestamp": at, **client})
        if number % 31 == 0:
            lines.append({**query, "user_query": "another", "timestamp": at})
        for _ in range(rng.randrange(4)):
            doc_id = rng.choice([*hits, *hits, "elsewhere"])
            action = rng.choice(["click", "click", "add_to_cart", "hover", "dwell"])
            attributes = {"object": {"object_id": doc_id}, "dwell_time": 40}
            event = {"action_name": action, "query_id": query_id, "timestamp": at + rng.randrange(5000)}
            lines.append({**event, "event_attributes": attributes})
            if number % 17 == 0:
                lines.append(lines[-1])
        if number % 50 == 0:
            lines += [{**event_of("nobody", "B0001"), "timestamp": at}, "no record", {"query_id": query_id}]
    rng.shuffle(lines)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def event_of(query_id: str, doc_id: str) -> dict[str, Any]:
    attributes = {"object": {"object_id": doc_id}}
    return {"action_name": "click", "query_id": query_id, "timestamp": T0, "event_attributes": attributes}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Tribrid]:
    with Tribrid(tmp_path / "data") as opened:
        for corpus_id in ("rows", "segments"):
            opened.create_corpus(corpus_id)
            documents = [Document(f"B{number:04}", f"text {number}") for number in range(0, 60, 2)]
            opened.store.documents.upsert(corpus_id, documents)
        yield opened


def add(library: Tribrid, corpus_id: str, body: bytes, patch: pytest.MonkeyPatch) -> LogImport:
    patch.setattr("tribrid.logs.bulk.LEAST_LISTS", 1 if corpus_id == "segments" else 1 << 60)
    patch.setattr("tribrid.logs.bulk.SEGMENT_LISTS", 90)
    patch.setattr("tribrid.logs.blocks._LOOKED_AT", 3)
    return library.corpus(corpus_id).logs.add(io.BytesIO(body), "ubi")


def told(done: LogImport) -> dict[str, Any]:
    """What an import says, but for how long it took, and which corpus it is."""
    facts = done.model_dump(exclude={"corpus_id", "took_s", "rate_per_s", "unknown_documents"})
    return {**facts, "reasons": sorted(facts["reasons"], key=str)}


def test_an_import_into_segments_is_that_into_rows(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    body = log()
    rows, segments = (add(library, name, body, monkeypatch) for name in ("rows", "segments"))
    assert told(segments) == told(rows)
    assert len(library.store.artifacts.holding("segment", -1)) > 1
    lists = {}
    for name in ("rows", "segments"):
        found = list(library.store.logs.iterate_with_feedback(name))
        lists[name] = [one._replace(feedback=tuple(one.feedback)) for one in found]
        assert [one.created_us for one in found] == sorted(one.created_us for one in found)
    assert sorted(lists["segments"]) == sorted(lists["rows"])
    stats = [library.corpus(name).logs.stats().model_copy(update={"corpus_id": ""}) for name in ("rows", "segments")]
    assert stats[0] == stats[1]


def test_the_same_labels_come_out(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    body, labels = log(), []
    config = MiningConfig.model_validate({})
    for name in ("rows", "segments"):
        add(library, name, body, monkeypatch)
        logs = library.store.logs
        found = log_groups(
            logs.iterate_with_feedback(name),
            examined_below_click=config.examined_below_click,
            min_clients=config.min_clients,
            named=logs.iterate_with_feedback(name, named=True),
        )
        labels.append([(group.query_id, group.query, tuple(group.positives), group.explicit) for group in found.groups])
    assert labels[0] == labels[1]
    assert labels[0]


def test_an_import_can_be_repeated_and_go_on(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = log().splitlines(keepends=True)
    for name in ("rows", "segments"):
        part = add(library, name, b"".join(lines[: len(lines) // 2]), monkeypatch)
        whole = add(library, name, b"".join(lines), monkeypatch)
        again = add(library, name, b"".join(lines), monkeypatch)
        assert (again.impressions, again.feedback) == (0, 0)
        assert again.known_feedback == whole.known_feedback + whole.feedback
        assert part.impressions
    stats = [library.corpus(name).logs.stats().model_copy(update={"corpus_id": ""}) for name in ("rows", "segments")]
    assert stats[0] == stats[1]


def test_events_may_come_after_their_queries(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = log().splitlines(keepends=True)
    queries = [line for line in lines if b"user_query" in line]
    events = [line for line in lines if b"action_name" in line]
    monkeypatch.setattr("tribrid.store.logimport.MOST_LATE", 50)
    for name in ("rows", "segments"):
        add(library, name, b"".join(queries), monkeypatch)
    files = library.store.artifacts.holding("segment", -1)
    done = [add(library, name, b"".join(events), monkeypatch) for name in ("rows", "segments")]
    assert told(done[0]) == told(done[1])
    stats = [library.corpus(name).logs.stats().model_copy(update={"corpus_id": ""}) for name in ("rows", "segments")]
    assert stats[0] == stats[1]
    assert stats[0].feedback
    assert library.store.artifacts.holding("segment", -1).isdisjoint(files), "what came late was folded in"


def test_what_joins_nothing_is_refused_and_leaves_nothing(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = [json.loads(line) for line in log().splitlines() if b"user_query" in line]
    events = [event_of(query["query_id"], "sku-1") for query in queries[:50]]
    body = b"".join(json.dumps(record).encode() + b"\n" for record in [*queries, *events])
    refused = []
    for name in ("rows", "segments"):
        with pytest.raises(InvalidInput) as raised:
            add(library, name, body, monkeypatch)
        refused.append((raised.value.detail, raised.value.facts))
    assert refused[0] == refused[1]
    assert not library.store.artifacts.holding("segment", -1)


def test_what_goes_wrong_while_it_is_stored_leaves_no_file(library: Tribrid, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(library.store.logs, "list_segments", broken)
    with pytest.raises(KeyboardInterrupt):
        add(library, "segments", log(), monkeypatch)
    assert not library.store.artifacts.holding("segment", -1)
