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
from tribrid.api.attending import Admission, attended
from tribrid.app import Tribrid
from tribrid.scoring.budget import Budget

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
