"""What a running server tells of itself: lines that hold no query, counters, spans."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from http_examples import DOCUMENTS, TRAINING, ndjson, ok
from serving import Serve
from tribrid.api import create_app
from tribrid.api.telemetry import Telemetry
from tribrid.api.tracing import Tracing, tracing
from tribrid.app import Tribrid
from tribrid.app.retention import Gauges
from tribrid.errors import MissingExtra
from waiting import until

MARKER = "zebrafinch"
START_S = 150


@contextmanager
def process(data_dir: Path, log: Path, **environment: str) -> Iterator[httpx.Client]:
    """`tribrid serve`, its output in a file."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "tribrid.cli", "--data-dir", str(data_dir), "serve", "--port", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + START_S
            while not up(client):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield client
    finally:
        server.terminate()
        server.wait(START_S)


def up(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


def ask_in_every_way(client: httpx.Client) -> None:
    """Searches that succeed, fail, fall back, and are malformed; each with the marker in it."""
    found = ok(client.post("/search", json={"corpus_id": "notes", "query": f"the {MARKER}"}))
    ok(client.post("/feedback", json={"query_id": found["query_id"], "signal": "thumbs_down"}))
    for body in (
        {"corpus_id": "none", "query": MARKER},
        {"corpus_id": "notes", "query": MARKER * 20_000},
        {"corpus_id": "notes", "query": MARKER, MARKER: 1},
        {"corpus_id": "notes", "query": [MARKER]},
        {"corpus_id": "notes", "query": f'"{MARKER} AND ( title: {MARKER}~ \\'},
        {"query_id": "x", "doc_id": MARKER, "signal": MARKER},
    ):
        assert client.post("/search", json=body).status_code < 500
        client.post("/feedback", json=body)
    client.post("/search", content=f'{{"query": "{MARKER}"'.encode(), headers={"Content-Type": "application/json"})
    client.get(f"/search?q={MARKER}")
    client.get(f"/{MARKER}/{MARKER}")
    client.put("/corpora/notes/judgments", json={"queries": [{"query_id": "1", "text": MARKER, "judgments": {}}]})
    client.post("/corpora/notes/logs", content=f'{{"query_id": "q", "query": "{MARKER}"}}\n{MARKER}'.encode())
    client.request("SEARCH", f"/search?{MARKER}")
    # A reranker that cannot be loaded: the fused order is served, and says so.
    ok(client.patch("/corpora/notes/config", json={"reranking": {"reranker_mode": "local"}}))
    assert ok(client.post("/search", json={"corpus_id": "notes", "query": MARKER}))["fallback_reason"]
    mined = ok(client.post("/reranker/mine", json={"corpus_id": "notes"}))
    assert mined["status"] == "succeeded"


@pytest.mark.timeout(300)
def test_no_log_holds_what_was_searched_for(tmp_path: Path) -> None:
    log, data_dir = tmp_path / "log", tmp_path / "data"
    with process(data_dir, log, TRIBRID_LOG_FORMAT="json", TRIBRID_LOG_LEVEL="debug") as client:
        ok(client.post("/corpora", json={"corpus_id": "notes"}), 201)
        ok(client.post("/corpora/notes/documents", content=ndjson(DOCUMENTS)))
        ok(client.put("/corpora/notes/judgments", json={"queries": TRAINING}))
        ask_in_every_way(client)
        # An error that nobody foresaw: the index is broken under the running server.
        for table in (data_dir / "indexes" / "notes").rglob("*.lance"):
            for part in table.rglob("*"):
                part.is_file() and part.write_bytes(b"broken")
        client.post("/search", json={"corpus_id": "notes", "query": MARKER})
        client.get("/health", headers={"X-Request-ID": "the-last"})
    written = log.read_text()
    assert MARKER not in written
    assert MARKER not in (data_dir / "worker.log").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in lines)
    (last,) = [line for line in lines if line.get("request_id") == "the-last"]
    assert last["message"] == "GET /health"
    assert last["status"] == 200
    assert "POST /search" in {line["message"] for line in lines}


def value(client: httpx.Client, start: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(start)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_counters_answer_the_three_questions(client: httpx.Client, corpus: str) -> None:
    """Is it slow, is it failing, is it helping."""
    clicks = 'tribrid_clicked_rank_bucket{le="1.0",model_id="retrieval"}'
    before = {name: value(client, name) for name in (clicks, 'tribrid_stage_seconds_count{stage="retrieve"}')}
    found = ok(client.post("/search", json={"corpus_id": corpus, "query": "the soup"}))
    click = {"query_id": found["query_id"], "doc_id": found["results"][0]["doc_id"], "signal": "click"}
    ok(client.post("/feedback", json=click))
    for name, was in before.items():
        assert value(client, name) == was + 1, name
    assert value(client, 'tribrid_stage_seconds_count{stage="log"}') >= 1
    assert value(client, 'tribrid_searches_total{model_id="retrieval",reranked="false"}') >= 1
    assert value(client, "tribrid_store_up") == 1
    own = {"reranking": {"reranker_mode": "local"}}
    ok(client.patch(f"/corpora/{corpus}/config", json=own))
    ok(client.post("/search", json={"corpus_id": corpus, "query": "soup"}))
    ok(client.patch(f"/corpora/{corpus}/config", json={"reranking": None}))
    assert value(client, 'tribrid_search_fallbacks_total{reason="model_unavailable"}') == 1


def test_jobs_and_champions_are_gauges(serve: Serve, idle_tribrid: Tribrid) -> None:
    app = create_app(idle_tribrid)
    telemetry: Telemetry = app.state.telemetry
    seen = Gauges(jobs={("train", "queued"): 3}, champions={"a": "5b1e"})
    text = telemetry.text(ready=True, seen=seen).decode()
    assert 'tribrid_jobs{kind="train",state="queued"} 3.0' in text
    assert 'tribrid_model_info{corpus_id="a",model_id="5b1e"} 1.0' in text
    text = telemetry.text(ready=True, seen=None).decode()
    assert "tribrid_store_up 0.0" in text
    assert 'corpus_id="a",model_id="5b1e"' not in text
    assert idle_tribrid.gauges() == Gauges({}, {})


def test_a_span_a_request_and_a_stage_and_no_query_in_any(serve: Serve, tmp_path: Path) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(memory))
    with Tribrid(tmp_path) as tribrid:
        app = create_app(tribrid, Tracing(provider))
        client = serve(app).client()
        parent = f"00-{'a' * 32}-{'b' * 16}-01"
        ok(client.post("/corpora", json={"corpus_id": "a"}), 201)
        ok(client.post("/search", json={"corpus_id": "a", "query": MARKER}, headers={"traceparent": parent}))
        client.get(f"/{MARKER}?{MARKER}")
        until(lambda: any(span.name == "GET" for span in memory.get_finished_spans()))  # after the answer is sent
    spans: dict[str, Any] = {span.name: span for span in memory.get_finished_spans()}
    assert {"POST /search", "search.retrieve", "search.log", "GET"} <= spans.keys()
    search, stage = spans["POST /search"], spans["search.retrieve"]
    assert search.context.trace_id == stage.context.trace_id == int("a" * 32, 16)
    assert stage.parent.span_id == search.context.span_id
    assert re.fullmatch("[0-9a-f]{32}", search.attributes["tribrid.request_id"])
    assert MARKER not in "".join(span.to_json() for span in spans.values())


def test_nothing_of_opentelemetry_is_loaded_unless_asked_for() -> None:
    program = "import sys, tribrid.api; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert tracing(wanted=False) is None


def test_tracing_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"'\.\[otel\]'"):
        tracing(wanted=True)


def test_a_line_names_its_request(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tribrid"):
        client.get(f"/corpora/{MARKER}?{MARKER}=1")  # refused: there is no such parameter
        # The server writes the line once the answer is sent: the client may be here first.
        (line,) = until(lambda: [r for r in caplog.records if r.getMessage().startswith("GET")])
    assert line.getMessage() == "GET /corpora/{corpus_id}"
    assert line.__dict__["fields"]["status"] == 422
