"""Search, feedback, imported logs, settings and counters through HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from http_examples import ndjson, ok, refused

pytestmark = pytest.mark.timeout(300)
LIKE_CODE = ['"', "a AND (b", "*", "\\", "'; DROP TABLE corpora; --", "\u202e\U0001f600", "a" * 9999]


def test_search_and_feedback(client: httpx.Client, corpus: str) -> None:
    found = ok(client.post("/search", json={"corpus_id": corpus, "query": "soup by night", "top_k": 3}))
    assert [result["rank"] for result in found["results"]] == [1, 2, 3]
    first = found["results"][0]
    assert first["doc_id"] == "notes/soup.md"
    assert first["text"][: first["passage"]["end"]] == first["text"]
    assert {"rank", "score", "legs"} <= first["first_stage"].keys()
    query_id = found["query_id"]
    done = ok(client.post("/feedback", json={"query_id": query_id, "doc_id": "notes/soup.md", "signal": "click"}))
    assert done["ok"] is True
    ok(client.post("/feedback", json={"query_id": query_id, "doc_id": "notes/soup.md", "signal": "dwell", "value": 31}))
    ok(client.post("/feedback", json={"query_id": query_id, "signal": "rating", "value": 4}))
    assert ok(client.get(f"/corpora/{corpus}/logs/stats"))["feedback"]["click"] >= 1


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"query_id": "unknown"}, 404, "query_not_found"),
        ({"doc_id": "notes/never.md"}, 422, "not_shown"),
        ({"signal": "stare"}, 422, "invalid_input"),
        ({"signal": "rating"}, 422, "invalid_input"),
        ({"signal": "rating", "value": 6}, 422, "invalid_input"),
        ({"signal": "dwell", "value": -1}, 422, "invalid_input"),
        ({"value": 10**300}, 422, "invalid_input"),
        ({"doc_id": ""}, 422, "invalid_input"),
        ({"query_id": None}, 422, "invalid_input"),
    ],
)
def test_feedback_that_cannot_be(sent: Any, status: int, code: str, client: httpx.Client, corpus: str) -> None:
    query_id = ok(client.post("/search", json={"corpus_id": corpus, "query": "soup"}))["query_id"]
    refused(client.post("/feedback", json={"query_id": query_id, "signal": "click", **sent}), status, code)


@pytest.mark.parametrize("query", ["", "   ", "x" * 100_001])
def test_queries_that_ask_nothing(query: str, client: httpx.Client, corpus: str) -> None:
    detail = refused(client.post("/search", json={"corpus_id": corpus, "query": query}), 422, "invalid_input")["detail"]
    assert detail.startswith("query")


def test_a_search_may_say_whose_it_is(client: httpx.Client, corpus: str) -> None:
    whose = {"corpus_id": corpus, "query": "soup", "client_id": "browser 7"}
    assert ok(client.post("/search", json=whose))["results"]
    detail = refused(client.post("/search", json={**whose, "client_id": "7\n"}), 422, "invalid_input")["detail"]
    assert detail.startswith("client_id")


@pytest.mark.parametrize("query", LIKE_CODE)
def test_queries_that_look_like_code(query: str, client: httpx.Client, corpus: str) -> None:
    assert isinstance(ok(client.post("/search", json={"corpus_id": corpus, "query": query}))["results"], list)


def test_native_logs(client: httpx.Client, fresh: str) -> None:
    records: list[dict[str, Any]] = [
        {"query_id": "q1", "query": "soup", "timestamp": "2026-01-02T03:04:05Z", "shown": ["a", "b"]},
        {"query_id": "q1", "signal": "click", "doc_id": "b"},
        {"query_id": "q1", "signal": "click", "doc_id": "never"},
    ]
    counts = ok(client.post(f"{fresh}/logs", content=ndjson(records)))
    assert (counts["impressions"], counts["feedback"], counts["unjoined"]) == (1, 1, 1)
    assert counts["join_rate"] == 0.5
    assert ok(client.get(f"{fresh}/logs/stats"))["impressions"] == 1


def test_ubi_logs(client: httpx.Client, fresh: str) -> None:
    query = {
        "query_id": "q1",
        "user_query": "soup",
        "timestamp": "2026-01-02T03:04:05Z",
        "query_response_hit_ids": ["a"],
    }
    event = {"query_id": "q1", "action_name": "click", "timestamp": "2026-01-02T03:04:06Z"}
    event["event_attributes"] = {"object": {"object_id": "a"}}  # type: ignore[assignment]
    counts = ok(client.post(f"{fresh}/logs?format=ubi", content=json.dumps([query, event]).encode()))
    assert (counts["impressions"], counts["feedback"]) == (1, 1)
    refused(client.post(f"{fresh}/logs?format=csv", content=b"x"), 422, "invalid_input")


def test_logs_that_join_nothing(client: httpx.Client, fresh: str) -> None:
    events = [{"query_id": "q1", "signal": "click", "doc_id": "b"}] * 2
    problem = refused(client.post(f"{fresh}/logs", content=ndjson(events)), 422, "invalid_input")
    assert "no query records" in problem["detail"]
    assert (problem["events"], problem["unjoined"]) == (2, 2)
    assert problem["reasons"][0]["example"]["line"] == 1
    refused(client.post(f"{fresh}/logs?format=ubi", content=b"nonsense"), 422, "invalid_input")
    assert ok(client.get(f"{fresh}/logs/stats"))["impressions"] == 0


def test_clicks_without_impressions(client: httpx.Client, corpus: str, fresh: str) -> None:
    rows = b"query,sku,click_time\nsoup,notes/soup.md,2026-01-02T03:04:05Z\nsoup,gone,1767323045\n"
    url = f"/corpora/{corpus}/logs?format=clicks"
    counts = ok(client.post(url, content=rows, headers={"Content-Type": "text/csv"}))
    assert (counts["impressions"], counts["feedback"], counts["join_rate"]) == (1, 1, 0.5)
    assert counts["unknown_documents"] == ["gone"]
    again = ok(client.post(url, content=ndjson([{"query": "Soup", "doc_id": "notes/soup.md", "time": 1767323045}])))
    assert (again["feedback"], again["known_feedback"]) == (0, 1)
    refused(client.post(url, content=b"query,sku\nsoup,notes/soup.md\n"), 422, "invalid_input")
    refused(client.post(f"{fresh}/logs?format=clicks", content=rows), 409, "no_documents")


def test_settings_and_where_they_come_from(client: httpx.Client, fresh: str) -> None:
    def topn(path: str) -> tuple[int, str]:
        setting = ok(client.get(path))["settings"]["reranking"]["tribrid_reranker_topn"]
        return setting["value"], setting["origin"]

    def patch(path: str, value: int | None) -> None:
        ok(client.patch(path, json={"reranking": {"tribrid_reranker_topn": value}}))

    assert topn("/config") == topn(f"{fresh}/config") == (50, "default")
    patch("/config", 40)
    assert topn("/config") == topn(f"{fresh}/config") == (40, "global")
    patch(f"{fresh}/config", 30)
    assert topn(f"{fresh}/config") == (30, "corpus")
    assert topn("/config") == (40, "global")
    patch(f"{fresh}/config", None)
    patch("/config", None)
    assert topn("/config") == topn(f"{fresh}/config") == (50, "default")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"training": {"epoch": 1}}, "unknown_setting"),
        ({"train": {}}, "unknown_setting"),
        ({"train": None}, "unknown_setting"),
        ({"training": {"epoch": None}}, "unknown_setting"),
        ({"training": {"epochs": 0}}, "invalid_input"),
        ({"reranking": {"reranker_mode": "magic"}}, "invalid_input"),
        ({"training": [1]}, "invalid_input"),
        ([], "invalid_input"),
    ],
)
def test_settings_that_do_not_exist_or_fit(sent: Any, code: str, client: httpx.Client) -> None:
    before = ok(client.get("/config"))
    refused(client.patch("/config", json=sent), 422, code)
    assert ok(client.get("/config")) == before


def test_info_lists_every_hyperparameter(client: httpx.Client) -> None:
    info = ok(client.get("/reranker/info"))
    assert info["hyperparameters"]["epochs"]["default"] == 2
    assert info["hyperparameters"]["epochs"]["maximum"] >= 2


def test_counters(client: httpx.Client, corpus: str) -> None:
    def value(line_start: str) -> float:
        lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(line_start)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0

    searches = 'tribrid_http_requests_total{method="POST",route="/search",status="200"}'
    before, reranked = value(searches), value("tribrid_searches_total")
    ok(client.post("/search", json={"corpus_id": corpus, "query": "soup"}))
    client.get("/corpora/none")
    client.get("/nowhere/at/all")
    assert value(searches) == before + 1
    assert value("tribrid_searches_total") >= reranked
    assert value('tribrid_http_requests_total{method="GET",route="/corpora/{corpus_id}",status="404"}') >= 1
    assert value('tribrid_http_requests_total{method="GET",route="unmatched",status="404"}') >= 1
    assert value('tribrid_http_request_seconds_count{method="POST",route="/search"}') >= 1
    assert value("tribrid_ready") == 1
    assert "nowhere" not in client.get("/metrics").text
