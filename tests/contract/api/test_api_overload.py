"""More than the machine takes at once, and clients that do not wait: through real sockets."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
from fastapi import FastAPI, Request

from serving import Serve
from tribrid.api import create_app
from tribrid.api.attending import THREADS, Admission, attended
from tribrid.app import Tribrid
from tribrid.encoders.budget import Budget

DEADLINE_S = 30
WARM_S = 120


def test_a_search_too_many_is_told_when_to_come_again(serve: Serve, idle_tribrid: Tribrid) -> None:
    idle_tribrid.patch_config({"serving": {"max_requests": 1}})
    app = create_app(idle_tribrid)
    client = serve(app).client()
    wait_until_ready(client)
    app.state.admission.enter()
    refused = client.post("/search", json={"corpus_id": "a", "query": "soup"})
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    rerank = {"corpus_id": "a", "query": "soup", "documents": ["soup"]}
    refused = client.post("/rerank", json=rerank)
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/health").status_code == 200
    app.state.admission.leave()
    assert client.post("/search", json={"corpus_id": "a", "query": "soup"}).status_code == 200
    assert client.post("/rerank", json=rerank).status_code == 200
    assert app.state.admission.inside == 0


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + WARM_S
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_work_learns_that_its_client_has_gone(serve: Serve) -> None:
    app = FastAPI()
    app.state.admission = Admission(5)
    begun, noticed = threading.Event(), threading.Event()

    @app.post("/slow")
    async def slow(body: dict[str, Any], request: Request) -> bool:
        def work(budget: Budget) -> bool:
            budget.on_leave(noticed.set)
            begun.set()
            return noticed.wait(DEADLINE_S)

        return await attended(request, work)

    app.state.long_work = Stopping()
    connection = serve(app).connect()
    sent = json.dumps({"a": 1}).encode()
    head = f"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    connection.sendall(head.encode() + sent)
    assert begun.wait(DEADLINE_S)
    assert not noticed.is_set()
    connection.close()
    assert noticed.wait(DEADLINE_S)


class Stopping:
    """What a server tells that it stops."""

    stopping = False


def test_who_is_refused_or_looks_on_waits_for_no_search(serve: Serve) -> None:
    """Searches may all wait for the reranker: what else needs a thread does not wait for theirs."""
    app = FastAPI()
    app.state.long_work = Stopping()
    app.state.admission = Admission(1000)
    begun, go_on = threading.Semaphore(0), threading.Event()

    @app.post("/slow")
    async def slow(request: Request) -> bool:
        await request.body()

        def work(_: Budget) -> bool:
            begun.release()
            return go_on.wait(DEADLINE_S)

        return await attended(request, work)

    @app.get("/quick")
    def quick() -> bool:
        return True

    server = serve(app)
    connections = [server.connect() for _ in range(THREADS + 5)]
    for connection in connections:
        connection.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    for _ in range(THREADS):
        assert begun.acquire(timeout=DEADLINE_S)
    try:
        assert server.client().get("/quick").json() is True
    finally:
        go_on.set()
        for connection in connections:
            connection.close()


def test_a_refused_rerank_reads_as_its_client_reads(serve: Serve, idle_tribrid: Tribrid) -> None:
    idle_tribrid.patch_config({"serving": {"max_requests": 1, "max_rerank_mb": 1}})
    app = create_app(idle_tribrid)
    client = serve(app).client()
    app.state.admission.enter()
    tei = client.post("/rerank", json={"query": "soup", "texts": ["soup"]})
    assert (tei.status_code, tei.json()["error_type"]) == (429, "Overloaded")
    assert isinstance(tei.json()["error"], str)
    cohere = client.post("/rerank", json={"query": "texts", "documents": ['say "texts" twice']})
    assert cohere.json()["error"]["type"] == "rate_limit_error"
    assert "1,048,576" in client.post("/rerank", content=b" " * 1_100_000).json()["detail"]
    app.state.admission.leave()
