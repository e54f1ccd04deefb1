"""Triplets that wait for review, decided by HTTP, and the gauge that says whether there is enough to train on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from http_examples import EVALUATION, TRAINING, ok, refused
from serving import Serve
from tribrid.api import reranker
from tribrid.api.problems import handle_problems
from tribrid.app import Tribrid
from tribrid.types import JudgedQuery, Source, Triplet


def triplet(positive: str, negative: str, *, held_back: bool = False) -> Triplet:
    sides = (positive, 0), (negative, 0)
    return Triplet("q", "green tea", *sides, source=Source.LOGS, weight=0.5, reason="why", held_back=held_back)


MINED = [triplet("good", "bad"), triplet("good", "maybe", held_back=True), triplet("fine", "maybe", held_back=True)]


@pytest.fixture
def client(serve: Serve, bare_app: FastAPI, idle_tribrid: Tribrid) -> httpx.Client:
    """A server with the reranker's routes alone, on a corpus of three triplets, two of them in review."""
    bare_app.include_router(reranker.router)
    handle_problems(bare_app)
    idle_tribrid.store.triplets.put("a", {}, {}, MINED)
    return serve(bare_app).client()


def listed(client: httpx.Client, **which: str) -> list[dict[str, Any]]:
    page = ok(client.get("/reranker/triplets", params={"corpus_id": "a", **which}))
    assert page["total"] == len(page["triplets"])
    rows: list[dict[str, Any]] = page["triplets"]
    return rows


def test_the_queue_holds_what_waits(client: httpx.Client) -> None:
    assert [row["status"] for row in listed(client)] == ["active", "review", "review"]
    waiting = listed(client, status="review")
    assert [row["negative"]["doc_id"] for row in waiting] == ["maybe", "maybe"]
    assert len({row["triplet_id"] for row in listed(client)}) == 3
    assert [row["triplet_id"] for row in listed(client, status="review")] == [row["triplet_id"] for row in waiting]


@pytest.mark.parametrize(("decision", "status"), [("accept", "accepted"), ("flip", "flipped"), ("drop", "dropped")])
def test_a_decision_holds_at_once(client: httpx.Client, idle_tribrid: Tribrid, decision: str, status: str) -> None:
    first = listed(client, status="review")[0]["triplet_id"]
    decided = ok(client.patch(f"/reranker/triplets/{first}", json={"decision": decision}))
    assert (decided["triplet_id"], decided["status"]) == (first, status)
    assert first not in [row["triplet_id"] for row in listed(client, status="review")]
    assert first in [row["triplet_id"] for row in listed(client, status=status)]
    trained = idle_tribrid.store.triplets.load(idle_tribrid.store.triplets.latest("a").triplet_set_id)
    expected = {"accept": {("good", "bad"), ("good", "maybe")}, "flip": {("good", "bad"), ("maybe", "bad")}}
    assert {(t.positive[0], t.negative[0]) for t in trained} == expected.get(decision, {("good", "bad")})


def test_what_cannot_be_decided(client: httpx.Client) -> None:
    first, second = (row["triplet_id"] for row in listed(client, status="review"))
    refused(client.patch("/reranker/triplets/none", json={"decision": "drop"}), 404, "triplet_not_found")
    for body in ({"decision": "perhaps"}, {}, {"decision": "drop", "note": "x"}):
        refused(client.patch(f"/reranker/triplets/{first}", json=body), 422, _code(body))
    refused(client.get("/reranker/triplets?corpus_id=a&status=odd"), 422, "invalid_input")
    ok(client.patch(f"/reranker/triplets/{first}", json={"decision": "accept"}))
    problem = refused(client.patch(f"/reranker/triplets/{second}", json={"decision": "flip"}), 409, "conflict")
    assert problem["contradicts"] == first
    ok(client.patch(f"/reranker/triplets/{first}", json={"decision": "flip"}))


def _code(body: dict[str, str]) -> str:
    return "unknown_setting" if "note" in body else "invalid_input"


def test_a_training_on_the_eval_dataset_s_queries_is_refused_row_by_row(
    client: httpx.Client, idle_tribrid: Tribrid
) -> None:
    idle_tribrid.corpus("a").eval_dataset.put([JudgedQuery("e1", "Green teas", {"good": 1})])
    problem = refused(client.post("/reranker/train", json={"corpus_id": "a", "cross_encoder": False}), 409, "leakage")
    assert problem["overlapping"] == ["e1"]
    (row,) = problem["rows"]
    assert (row["eval_query_id"], row["training_query_id"], row["training_query"]) == ("e1", "q", "green tea")
    assert row["documents"] == ["good"]
    assert "green tea" in problem["detail"]


def judged(queries: list[dict[str, Any]]) -> list[JudgedQuery]:
    return [JudgedQuery(**query) for query in queries]


def test_readiness_says_what_is_missing_and_then_that_it_is_there(client: httpx.Client, idle_tribrid: Tribrid) -> None:
    def gauge() -> Any:
        return ok(client.get("/reranker/readiness", params={"corpus_id": "a"}))

    empty = gauge()
    assert (empty["ready"], empty["answer"]) == (False, "no")
    assert [what.partition(":")[0] for what in empty["missing"]] == ["documents", "labels", "an eval dataset"]
    leak = {**EVALUATION[0], "query_id": "leak"}
    idle_tribrid.corpus("a").judgments.put(judged([*TRAINING, leak]))
    idle_tribrid.corpus("a").eval_dataset.put(judged(EVALUATION))
    filled = gauge()
    assert [what.partition(":")[0] for what in filled["missing"]] == ["documents"]
    expected = {"queries": len(TRAINING), "positives": len(TRAINING), "in_eval_dataset": 1, "at_least": False}
    assert filled["labels"]["judgments"] == expected
    assert filled["eval_queries"] == len(EVALUATION)
    assert filled["detectable_change"] > 0
    refused(client.get("/reranker/readiness", params={"corpus_id": "none"}), 404, "corpus_not_found")
