"""The whole loop from the rerank call alone: another engine searches, and Tribrid learns from what users open."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import learnable
from http_examples import ok
from serving import running
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.types import JudgedQuery

pytestmark = pytest.mark.timeout(300)
QUICK = {
    "reranking": {"rerank_corpus": "shop"},
    "training": {"cross_encoder": False, "folds": 3},
    "evaluation": {"resamples": 500},
}
SETTLED_S = 120


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with Tribrid(tmp_path_factory.mktemp("data")) as tribrid, running(create_app(tribrid)) as server:
        client = server.client()
        client.timeout = httpx.Timeout(SETTLED_S)
        deadline = time.monotonic() + SETTLED_S
        while client.get("/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ok(client.patch("/config", json=QUICK))
        yield client


def found_elsewhere(query: JudgedQuery, rng: random.Random) -> list[dict[str, Any]]:
    """What the other engine finds: the one that is asked for, its like, and others; in no order of use."""
    documents = {document.doc_id: document for document in learnable.documents()}
    wanted = int(next(iter(query.judgments)).removeprefix("d"))
    alike = wanted - wanted % learnable.ORDERS
    near = [f"d{number:03}" for number in range(alike, alike + learnable.ORDERS)]
    others = rng.sample(sorted(documents.keys() - set(near)), 12)
    ids = rng.sample(near + others, len(near) + len(others))
    return [{"text": documents[i].text, "title": documents[i].title, "metadata": {"id": i}} for i in ids]


def test_learning_from_rerank_alone(client: httpx.Client) -> None:
    rng = random.Random(3)
    assert ok(client.get("/corpora"))["corpora"] == []
    for number, query in enumerate(learnable.queries("q", 120, seed=2)):
        documents = found_elsewhere(query, rng)
        found = ok(client.post("/v2/rerank", json={"query": query.text, "documents": documents}))
        assert (found["corpus_id"], found["reranked"], found["model_id"]) == ("shop", False, "retrieval")
        wanted = next(iter(query.judgments))
        where = [document["metadata"]["id"] for document in documents].index(wanted)
        # Half of the time by place and half of the time by name.
        which = {"index": where} if number % 2 else {"doc_id": wanted}
        ok(client.post("/feedback", json={"query_id": found["id"], "signal": "copy", **which}))
    held = ok(client.get("/corpora/shop"))
    assert held["documents"] == len(learnable.documents())
    evaluated = [
        {"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)}
        for q in learnable.queries("eval", 30, seed=3)
    ]
    ok(client.put("/corpora/shop/eval_dataset", json={"queries": evaluated}))
    mined = ok(client.post("/reranker/mine", json={"corpus_id": "shop"}))
    assert mined["by_source"]["logs"]["pairs"] > 50, mined
    assert ok(client.get("/corpora/shop"))["passages"] == len(learnable.documents())
    ok(client.post("/reranker/train", json={"corpus_id": "shop"}), 202)
    report = ok(client.post("/reranker/evaluate", json={"corpus_id": "shop"}))
    assert report["promoted"], report["verdict"]
    first = 0
    for query in learnable.queries("new", 20, seed=9):
        documents = found_elsewhere(query, rng)
        found = ok(client.post("/v2/rerank", json={"query": query.text, "documents": documents}))
        assert (found["reranked"], found["model_id"]) == (True, report["model_id"])
        assert all(0 < row["relevance_score"] < 1 for row in found["results"])
        first += found["results"][0]["id"] == next(iter(query.judgments))
    assert first > 12, f"{first} of 20"
    versioned = {"model": report["model_id"], "query": "x", "documents": ["a", "b"]}
    assert ok(client.post("/rerank", json=versioned))["corpus_id"] == "shop"


def test_documents_are_not_kept_where_that_is_off(client: httpx.Client) -> None:
    ok(client.post("/corpora", json={"corpus_id": "other"}), 201)
    body = {"corpus_id": "other", "query": "x", "documents": ["a", "b", "c"]}
    ok(client.patch("/corpora/other/config", json={"reranking": {"collect_documents": False}}))
    assert ok(client.post("/rerank", json=body))["collected"] == 0
    limits = {"collect_documents": True, "collect_documents_max": 2}
    ok(client.patch("/corpora/other/config", json={"reranking": limits}))
    assert ok(client.post("/rerank", json=body))["collected"] == 2
    assert ok(client.post("/rerank", json=body))["collected"] == 0
