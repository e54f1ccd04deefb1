"""The whole loop once through HTTP: mine, train, evaluate, promote, serve; and what is refused before it starts."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from http_examples import DOCUMENTS, EVALUATION, FAST_TRAINING, ndjson, ok, refused

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def loop(client: httpx.Client, corpus: str) -> dict[str, Any]:
    """Mined, trained twice and evaluated, by calls that follow each other at once: the answers."""
    mined = client.post("/reranker/mine", json={"corpus_id": corpus, "max_pairs": 500})
    first = client.post("/reranker/train", json={"corpus_id": corpus, **FAST_TRAINING})
    second = client.post("/reranker/train", json={"corpus_id": corpus, "seed": 14, **FAST_TRAINING})
    report = client.post("/reranker/evaluate", json={"corpus_id": corpus})
    return {"mined": mined, "first": first, "second": second, "report": report}


def test_mining_answers_when_it_is_done(loop: dict[str, Any]) -> None:
    mined = ok(loop["mined"])
    assert mined["status"] == "succeeded"
    assert mined["pairs"] > 0
    assert mined["by_source"]["judgments"]["pairs"] > 0
    assert mined["cost"]["usd"] == 0


def test_training_answers_at_once(loop: dict[str, Any]) -> None:
    first, second = ok(loop["first"], 202), ok(loop["second"], 202)
    assert first["run_id"] == first["job_id"]
    assert first["queued_behind"] == 0
    assert second["queued_behind"] == 1, "one training at a time: the second waits for the first, and says so"
    assert first["status_url"] == f"/reranker/train/run/{first['run_id']}" == loop["first"].headers["location"]
    assert first["metrics_url"] == f"/reranker/train/run/{first['run_id']}/metrics"
    assert first["cost_estimate"]["usd"] == 0
    candidates = 50
    assert first["cost_estimate"]["units"] == ok(loop["mined"])["queries"] * candidates, "as many queries as were mined"


def test_the_report_is_of_what_the_last_queued_training_made(loop: dict[str, Any]) -> None:
    report = ok(loop["report"])
    assert report["status"] == "succeeded"
    assert report["run_id"] == loop["second"].json()["run_id"]
    for side in ("before", "after"):
        assert {"mrr@10", "recall@5", "recall@10", "recall@20", "ndcg@10", "map", "judged@10"} <= report[side].keys()
    assert report["verdict"]["decision"] in ("promote", "keep")


def test_a_run(client: httpx.Client, loop: dict[str, Any]) -> None:
    run = ok(client.get(loop["first"].json()["status_url"]))
    assert run["state"] == "succeeded"
    assert run["params"]["epochs"] == 1
    assert run["model_id"]
    assert run["metrics"]


def test_the_metrics_of_a_run(client: httpx.Client, loop: dict[str, Any]) -> None:
    url = loop["first"].json()["metrics_url"]
    events = [json.loads(line) for line in client.get(url).text.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {"state", "metrics", "complete"} <= {event["type"] for event in events}
    assert events[-1]["type"] == "complete"


def test_runs_and_their_difference(client: httpx.Client, loop: dict[str, Any]) -> None:
    runs = ok(client.get("/reranker/train/runs", params={"corpus_id": "notes"}))["runs"]
    ids = [run["run_id"] for run in runs]
    assert ids == [loop["second"].json()["run_id"], loop["first"].json()["run_id"]]
    diff = ok(client.get("/reranker/train/diff", params={"a": ids[1], "b": ids[0]}))
    assert diff["differences"]["params.seed"] == {"a": None, "b": 14, "change": None}
    assert diff["differences"]["config.seed"] == {"a": 13, "b": 14, "change": 1}
    assert any("chance" in note for note in diff["notes"])
    assert diff["evaluations"] == {"a": None, "b": loop["report"].json()["evaluation_id"]}


def test_a_run_that_ended_cannot_be_cancelled(client: httpx.Client, loop: dict[str, Any]) -> None:
    refused(client.post(f"{loop['first'].json()['status_url']}/cancel"), 409, "not_running")


def test_a_job(client: httpx.Client, loop: dict[str, Any]) -> None:
    job = ok(client.get(f"/jobs/{loop['mined'].json()['job_id']}"))
    assert job["kind"] == "mine"
    assert job["state"] == "succeeded"


def test_triplets(client: httpx.Client, loop: dict[str, Any]) -> None:
    page = ok(client.get("/reranker/triplets", params={"corpus_id": "notes", "limit": 2, "source": "judgments"}))
    assert page["total"] > 2
    assert len(page["triplets"]) == 2
    assert {"source", "weight", "reason", "positive", "negative", "query"} <= page["triplets"][0].keys()


def test_evaluations(client: httpx.Client, loop: dict[str, Any]) -> None:
    report = loop["report"].json()
    (row,) = ok(client.get("/reranker/evaluations", params={"corpus_id": "notes"}))["evaluations"]
    assert row["evaluation_id"] == report["evaluation_id"]
    stored = ok(client.get(f"/reranker/evaluations/{report['evaluation_id']}"))
    assert stored["after"] == report["after"]
    page = ok(client.get(f"/reranker/evaluations/{report['evaluation_id']}/queries", params={"limit": 3}))
    assert page["total"] == len(EVALUATION)
    assert len(page["queries"]) == 3


def test_a_report_as_a_page_and_for_ci(client: httpx.Client, loop: dict[str, Any]) -> None:
    url = f"/reranker/evaluations/{loop['report'].json()['evaluation_id']}"
    page = client.get(url, params={"format": "html"})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "Before and after" in page.text
    checks = client.get(url, params={"format": "junit"})
    assert checks.headers["content-type"] == "application/xml"
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(checks.content)}
    assert suites.keys() == {"gate", "conditions", "measures"}
    decision = loop["report"].json()["verdict"]["decision"]
    assert (suites["gate"].find("testcase[@name='verdict']/failure") is None) == (decision == "promote")
    refused(client.get(url, params={"format": "pdf"}), 422, "invalid_input")
    refused(client.get("/reranker/evaluations/none", params={"format": "html"}), 404, "evaluation_not_found")


def test_two_evaluations_are_compared_on_what_both_asked(client: httpx.Client, loop: dict[str, Any]) -> None:
    first, url = loop["report"].json()["evaluation_id"], "/reranker/evaluations/diff"
    changed = [*EVALUATION[:3], {**EVALUATION[3], "judgments": {"notes/soup.md": 1}}]
    ok(client.put("/corpora/notes/eval_dataset", json={"queries": changed}))
    second = ok(client.post("/reranker/evaluate", json={"corpus_id": "notes"}))["evaluation_id"]
    ok(client.put("/corpora/notes/eval_dataset", json={"queries": EVALUATION}))
    found = ok(client.get(url, params={"a": first, "b": second, "limit": 2}))
    assert found["common"] == {"queries": 3, "judged_differently": 1, "only_a": len(EVALUATION) - 4, "only_b": 0}
    assert found["measures"]["ndcg@10"]["delta"]["mean"] == 0, "the same model on the same queries"
    assert {"ci95", "p_value", "wins"} <= found["measures"]["ndcg@10"]["delta"].keys()
    assert (found["total"], len(found["queries"])) == (3, 2)
    assert "eval datasets differ" in found["notes"][0]
    refused(client.get(url, params={"a": first, "b": "none"}), 404, "evaluation_not_found")


def test_models_are_promoted_and_rolled_back(client: httpx.Client, loop: dict[str, Any]) -> None:
    models = ok(client.get("/reranker/models", params={"corpus_id": "notes"}))
    made = {model["run_id"]: model["model_id"] for model in models["models"]}
    first = made[loop["first"].json()["run_id"]]
    wanted = {"corpus_id": "notes", "model_id": first}
    unproven = refused(client.post("/reranker/promote", json={**wanted, "reason": "a test"}), 409, "not_proven")
    assert unproven["reasons"] == ["It was never evaluated on the eval dataset in force."]
    assert unproven["champion"] == models["champion"]
    refused(client.post("/reranker/promote", json={**wanted, "force": True}), 422, "invalid_input")
    promoted = ok(client.post("/reranker/promote", json={**wanted, "force": True, "reason": "a test"}))
    assert promoted["champion"] == first
    record = ok(client.get(f"/reranker/models/{first}"))
    assert record["aliases"] == ["champion"]
    assert record["promotions"][0]["reason"] == "a test"
    page = ok(client.get(f"/reranker/models/{first}/queries", params={"limit": 2}))
    assert len(page["queries"]) == 2
    assert page["queries"][0]["evidence"]
    refused(client.get("/reranker/models/none"), 404, "model_not_found")
    refused(client.get("/reranker/models/none/queries"), 404, "model_not_found")
    status = ok(client.get("/reranker/status", params={"corpus_id": "notes"}))
    assert status["mode"] == "learning"
    assert (status["model_id"], status["loaded"]) == (first, True)
    searched = ok(client.post("/search", json={"corpus_id": "notes", "query": "open the soup"}))
    assert searched["reranked"] is True
    assert searched["model_id"] == first
    assert ok(client.post("/reranker/rollback", json={"corpus_id": "notes"}))["champion"] == models["champion"]


def test_models_are_swapped_under_load(client: httpx.Client, loop: dict[str, Any]) -> None:
    """100 promotions and rollbacks while 8 clients search: each answer is whole, and of the one model it names."""
    names = ok(client.get("/reranker/models", params={"corpus_id": "notes"}))
    a, b = (model["model_id"] for model in names["models"][:2])
    rankings: dict[str, set[tuple[tuple[str, float], ...]]] = {}
    answered: list[str] = []
    done, failed = threading.Event(), list[str]()

    def searching() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            while not done.is_set():
                response = own.post("/search", json={"corpus_id": "notes", "query": "open the soup by night"})
                found = response.json()
                if response.status_code != 200 or not found["reranked"] or found["fallback_reason"]:
                    failed.append(response.text)
                    return
                ranking = tuple((row["doc_id"], round(row["score"], 6)) for row in found["results"])
                rankings.setdefault(found["model_id"], set()).add(ranking)
                answered.append(found["query_id"])

    force = {"corpus_id": "notes", "force": True, "reason": "under load"}
    assert ok(client.post("/reranker/promote", json={**force, "model_id": a}))["champion"] == a
    searchers = [threading.Thread(target=searching) for _ in range(8)]
    for searcher in searchers:
        searcher.start()
    with httpx.Client(base_url=client.base_url, timeout=60) as operator:
        for _ in range(50):
            assert ok(operator.post("/reranker/promote", json={**force, "model_id": b}))["champion"] == b
            back = ok(operator.post("/reranker/rollback", json={"corpus_id": "notes"}))
            assert (back["champion"], back["previous"]) == (a, names["champion"])
    done.set()
    for searcher in searchers:
        searcher.join(60)
    assert failed == []
    assert rankings.keys() == {a, b}, "both have served"
    assert [len(found) for found in rankings.values()] == [1, 1], "a model ranks a query in one way"
    assert len(set(answered)) == len(answered) > 8
    told = ok(client.get("/reranker/models", params={"corpus_id": "notes"}))
    assert [row["model_id"] for row in told["promotions"][:100]] == [a, b] * 50
    ok(client.post("/reranker/rollback", json={"corpus_id": "notes"}))


def test_work_that_nobody_waits_for(client: httpx.Client, corpus: str) -> None:
    for path in ("/reranker/mine", "/reranker/evaluate"):
        queued = ok(client.post(path, json={"corpus_id": corpus, "wait": False}), 202)
        assert queued["state"] == "queued"
        assert "cost_estimate" in queued
        job = wait_for(client, queued["status_url"])
        assert job["state"] == "succeeded", job
        assert job["result"]["status"] == "succeeded"


def test_a_training_that_is_waited_for(client: httpx.Client, loop: dict[str, Any]) -> None:
    trained = ok(client.post("/reranker/train", json={"corpus_id": "notes", "wait": True, **FAST_TRAINING}))
    assert trained["status"] == "succeeded"
    assert trained["model_id"]


def wait_for(client: httpx.Client, url: str) -> Any:
    deadline = time.monotonic() + 120
    while (job := client.get(url).json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def test_nothing_to_train_on(client: httpx.Client) -> None:
    client.post("/corpora", json={"corpus_id": "empty"})
    refused(client.post("/reranker/mine", json={"corpus_id": "empty"}), 409, "no_documents")
    refused(client.post("/reranker/train", json={"corpus_id": "empty"}), 409, "no_triplets")
    client.post("/corpora/empty/documents", content=ndjson(DOCUMENTS[:2]))
    refused(client.post("/reranker/evaluate", json={"corpus_id": "empty"}), 409, "no_eval_dataset")
    refused(client.get("/corpora/empty/eval_dataset"), 409, "no_eval_dataset")
    refused(client.get("/reranker/triplets", params={"corpus_id": "empty"}), 409, "no_triplets")
    refused(client.post("/reranker/promote", json={"corpus_id": "empty", "reason": "x"}), 409, "no_model")
    refused(client.post("/reranker/rollback", json={"corpus_id": "empty"}), 409, "no_model")
    refused(client.post("/reranker/mine", json={"corpus_id": "empty", "sources": ["logs"]}), 409, "no_triplets")
    assert client.delete("/corpora/empty").status_code == 204


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("/reranker/mine", {"max_pairs": 0}, "max_pairs"),
        ("/reranker/mine", {"sources": ["gossip"]}, "sources.0"),
        ("/reranker/mine", {"sources": []}, "sources"),
        ("/reranker/train", {"epochs": 0}, "epochs"),
        ("/reranker/train", {"batch_size": 1.5}, "batch_size"),
        ("/reranker/train", {"learning_rate": None}, "learning_rate"),
        ("/reranker/train", {"lr": 0.1}, "lr"),
        ("/reranker/evaluate", {"model": "x"}, "model"),
        ("/reranker/train", {"epochs": "2"}, "epochs"),
        ("/reranker/evaluate", {"wait": "false"}, "wait"),
    ],
)
def test_a_bad_field_is_named_before_anything_starts(
    path: str, sent: Any, field: str, client: httpx.Client, corpus: str
) -> None:
    before = len(ok(client.get("/reranker/train/runs", params={"corpus_id": corpus}))["runs"])
    response = client.post(path, json={"corpus_id": corpus, **sent})
    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"{field}: ")
    assert len(ok(client.get("/reranker/train/runs", params={"corpus_id": corpus}))["runs"]) == before
