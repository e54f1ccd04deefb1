"""A model that judges, over HTTP: set up, asked, its agreement, its labels; and that they stay out of what decides."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from chat_server import chat_server, judge
from http_examples import DOCUMENTS, EVALUATION, ndjson, ok, refused

pytestmark = pytest.mark.timeout(300)


def test_a_judge_is_asked_and_its_labels_are_nobodys_judgments(client: httpx.Client, fresh: str) -> None:
    corpus_id = fresh.rsplit("/", 1)[-1]
    refused(client.post("/reranker/judge", json={"corpus_id": corpus_id}), 409, "no_documents")
    ok(client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS)))
    ok(client.post(f"{fresh}/index"))
    asked: dict[str, Any] = {"corpus_id": corpus_id, "of": "people"}
    assert refused(client.post("/reranker/judge", json=asked), 422, "invalid_input")["setting"] == "judging.base_url"
    ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))
    with chat_server(judge(lambda query, text, place: 1.0)) as server:
        settings = {"base_url": server.url, "model": "m", "protocol": "systemone"}
        ok(client.patch(f"{fresh}/config", json={"judging": settings}))
        refused(client.post("/reranker/judge", json={**asked, "of": "nobody"}), 422, "invalid_input")
        queued = client.post("/reranker/judge", json={**asked, "wait": False, "queries": 1})
        assert queued.status_code == 202
        assert queued.json()["cost_estimate"]["generation"]["usd"] == 0
        done = ok(client.post("/reranker/judge", json=asked))
        assert (done["status"], done["failed"], done["left_over"]) == ("succeeded", 0, 0)
        assert {seen.path for seen in server.seen} == {"/v1/systemone"}
    assert done["queries"] == len(EVALUATION)
    found = ok(client.get("/reranker/judge", params={"corpus_id": corpus_id, "limit": 2}))
    assert (found["source"], found["judge"], found["total"]) == ("judge", "m", found["labels"])
    assert found["agreement"] == done["standing"]["agreement"]
    row = found["rows"][0]
    assert (row["grade"], row["forward"], row["backward"], row["failure"]) == (1, 1, 1, None)
    assert row["reason"].startswith("probabilities 0: 0.00, 1: 1.00")

    given = {"source": "judge", "queries": EVALUATION}
    for route in ("judgments", "eval_dataset"):
        told = refused(client.put(f"{fresh}/{route}", content=json.dumps(given)), 422, "invalid_input")
        assert "a model" in told["detail"]
    job = ok(client.get(queued.json()["status_url"]))
    assert (job["kind"], job["state"]) == ("judge", "succeeded")
