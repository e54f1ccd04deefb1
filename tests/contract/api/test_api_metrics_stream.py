"""A run's events, followed to its end: by whoever comes early, late, or again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serving import Running, Serve
from tribrid.api import metrics_stream, runs
from tribrid.api.problems import handle_problems
from tribrid.app import Tribrid
from tribrid.jobs import cancel
from tribrid.jobs.story import finish
from tribrid.types import Job, State

SSE = {"Accept": "text/event-stream"}
Emit = Callable[[int], int]
End = Callable[[], object]


@pytest.fixture
def server(bare_app: FastAPI, serve: Serve) -> Running:
    handle_problems(bare_app)
    bare_app.include_router(runs.router)
    return serve(bare_app)


@pytest.fixture
def client(server: Running) -> httpx.Client:
    return server.client()


@pytest.fixture
def emit(idle_tribrid: Tribrid, queued: Job) -> Emit:
    def append(step: int) -> int:
        data = {"step": step, "note": "ü\n\r\u2028x"}
        seq: int = idle_tribrid.store.events.append(queued.job_id, "metrics", data)
        return seq

    return append


@pytest.fixture
def end(idle_tribrid: Tribrid, queued: Job) -> End:
    return lambda: finish(
        idle_tribrid.store,
        queued.job_id,
        State.SUCCEEDED,
        result={"run_id": queued.job_id, "model_id": "m", "metrics": {}},
    )


def url(job: Job, query: str = "") -> str:
    return f"/reranker/train/run/{job.job_id}/metrics{query}"


def later(seconds: float, act: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()


def lines(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of an NDJSON body: lines end at line feeds and nowhere else."""
    return [json.loads(line) for line in response.read().split(b"\n") if line]


def sse_events(raw: bytes) -> Iterator[dict[str, Any]]:
    """The events of an SSE body as the HTML standard reads them."""
    for block in raw.decode().split("\n\n"):
        fields = [line.partition(": ") for line in block.split("\n") if line and not line.startswith(":")]
        if fields:
            event = {name: value for name, _, value in fields}
            yield {"id": int(event["id"]), "event": event["event"], "data": json.loads(event["data"])}


@pytest.mark.timeout(60, func_only=True)
def test_from_the_first_event_to_the_last(
    client: httpx.Client, queued: Job, emit: Emit, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_stream, "_LAST_EVENT_GRACE_S", 300.0)  # the last event ends the stream, not this
    emit(1)
    later(0.5, lambda: emit(2))
    later(1.0, end)
    with client.stream("GET", url(queued)) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        events = lines(response)
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert [event["type"] for event in events] == ["metrics", "metrics", "state", "complete"]
    assert events[0]["data"] == {"step": 1, "note": "ü\n\r\u2028x"}
    assert events[0]["at"].endswith("+00:00")


def test_a_run_under_way_shows_its_last_numbers(client: httpx.Client, queued: Job, emit: Emit) -> None:
    assert client.get(f"/reranker/train/run/{queued.job_id}").json()["metrics"] is None
    emit(1)
    emit(2)
    assert client.get(f"/reranker/train/run/{queued.job_id}").json()["metrics"]["step"] == 2


@pytest.mark.timeout(60, func_only=True)  # heartbeats would come for ever
def test_an_event_comes_as_it_happens(client: httpx.Client, queued: Job, emit: Emit, end: End) -> None:
    with client.stream("GET", url(queued)) as response:
        pieces = response.iter_raw()
        for step in range(3):
            emit(step)
            assert json.loads(next(piece for piece in pieces if piece.strip()))["data"]["step"] == step
        end()
        assert b"complete" in b"".join(pieces)


@pytest.mark.parametrize("page", [1, 3, 7, 8, 9])
def test_a_late_reader_misses_nothing(
    page: int, client: httpx.Client, queued: Job, emit: Emit, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_stream, "PAGE", page)
    for step in range(6):
        emit(step)
    end()
    assert [event["seq"] for event in lines(client.get(url(queued)))] == list(range(1, 9))


@pytest.mark.timeout(60, func_only=True)  # nobody works on the run: it would be followed for ever
def test_no_further_than_what_there_is(client: httpx.Client, queued: Job, emit: Emit) -> None:
    emit(1)
    response = client.get(url(queued, "?follow=false"))
    assert len(lines(response)) == 1
    assert response.content.count(b"\n") == 1, "nor is there a heartbeat"


def test_from_where_the_reader_was(client: httpx.Client, queued: Job, emit: Emit) -> None:
    for step in range(4):
        emit(step)
    assert [event["seq"] for event in lines(client.get(url(queued, "?follow=false&after_seq=2")))] == [3, 4]


def test_server_sent_events(client: httpx.Client, queued: Job, emit: Emit, end: End) -> None:
    emit(1)
    end()
    response = client.get(url(queued), headers=SSE)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = list(sse_events(response.content))
    assert [event["id"] for event in events] == [1, 2, 3]
    assert [event["event"] for event in events] == ["metrics", "state", "complete"]
    assert events[0]["data"]["data"] == {"step": 1, "note": "ü\n\r\u2028x"}


def test_a_connection_that_broke_goes_on(client: httpx.Client, queued: Job, emit: Emit, end: End) -> None:
    emit(1)
    with client.stream("GET", url(queued), headers=SSE) as response:
        (first,) = sse_events(next(response.iter_raw()))
    emit(2)
    end()
    response = client.get(url(queued), headers={**SSE, "Last-Event-ID": str(first["id"])})
    assert [event["id"] for event in sse_events(response.content)] == [2, 3, 4]


def test_an_event_source_that_has_it_all_is_sent_away(client: httpx.Client, queued: Job, end: End) -> None:
    """EventSource reconnects when a stream ends; only 204 tells it not to."""
    end()
    assert client.get(url(queued), headers={**SSE, "Last-Event-ID": "2"}).status_code == 204


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 40, "²"])
def test_an_event_id_that_is_none(given: str, client: httpx.Client, queued: Job) -> None:
    response = client.get(url(queued), headers={b"Last-Event-ID": given.encode()})
    assert response.status_code == 422
    assert response.json()["field"] == "Last-Event-ID"


@pytest.mark.parametrize(("headers", "beat"), [(SSE, b": "), ({}, b"\n")], ids=["sse", "ndjson"])
def test_a_quiet_run_is_heard_of(
    headers: dict[str, str], beat: bytes, client: httpx.Client, queued: Job, end: End
) -> None:
    with client.stream("GET", url(queued), headers=headers) as response:
        heard = response.iter_raw()
        assert next(heard).startswith(beat), "before anything happens"
        end()
        assert b"complete" in b"".join(heard)


def test_a_run_that_nobody_started(client: httpx.Client) -> None:
    response = client.get("/reranker/train/run/none/metrics")
    assert response.status_code == 404
    assert response.json()["code"] == "run_not_found"


def test_a_run_cancelled_in_the_queue(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    later(0.3, lambda: cancel(idle_tribrid.store, queued.job_id))
    assert [event["type"] for event in lines(client.get(url(queued)))] == ["state", "error"]


@pytest.mark.timeout(60, func_only=True)  # a last word would be waited for for ever
def test_a_run_that_ended_without_a_last_word(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    idle_tribrid.store.jobs.finish(queued.job_id, State.FAILED, problem={})
    assert lines(client.get(url(queued))) == []


def test_a_run_that_goes_with_its_corpus(client: httpx.Client, queued: Job, idle_tribrid: Tribrid) -> None:
    later(0.3, lambda: idle_tribrid.store.corpora.delete("a"))
    assert lines(client.get(url(queued))) == []


@pytest.mark.timeout(60, func_only=True)
def test_a_server_that_stops_does_not_wait_for_readers(server: Running, queued: Job) -> None:
    server.server.config.timeout_graceful_shutdown = 300  # what waiting for them would take
    with httpx.stream("GET", server.url + url(queued), timeout=30) as response:
        server.begin_stop()
        response.read()
    server.stop()
