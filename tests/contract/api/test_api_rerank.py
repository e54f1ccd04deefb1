"""Rerank through HTTP, with the bytes that real clients send: each gets back what it reads, errors too."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from http_examples import ok

pytestmark = pytest.mark.timeout(300)
TEXTS = ["How to renew a certificate by night.", "Soup.", "A kitchen has pasta and soup.", "The proxy."]
IDS = ["a.md", "b.md", "c.md", "d.md"]
OBJECTS = [{"id": name, "text": text, "title": "Title"} for name, text in zip(IDS, TEXTS, strict=True)]
ASKED = {"query": "soup in the kitchen", "documents": TEXTS}
ROUTES = ["/rerank", "/v1/rerank", "/v2/rerank", "/reranking", "/v1/reranking"]
SPELLINGS = ["//rerank", "/v1//rerank/", "/v1/v1/rerank", "/v1/v2/rerank", "/rerank/rerank", "/v1/rerank/v1/rerank"]


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body of a refusal, in every form at once."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    assert isinstance(body["detail"], str)
    assert body["message"] == body["detail"] == body["error"]["message"]
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["id"] == response.headers["x-request-id"]
    return body


def test_every_route_answers_every_document_once_best_first(client: httpx.Client) -> None:
    for route in [*ROUTES, *SPELLINGS]:
        found = ok(client.post(f"{str(client.base_url).rstrip('/')}{route}", json={**ASKED, "model": "default"}))
        assert sorted(row["index"] for row in found["results"]) == [0, 1, 2, 3], route
        scores = [row["relevance_score"] for row in found["results"]]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert all("document" not in row for row in found["results"])
        assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] > 0
        assert found["meta"]["api_version"]["version"] == ("2" if "v2" in route else "1")
        assert found["meta"]["billed_units"] == {"search_units": 1}
        assert found["model"]
    assert "/v1/rerank" in refused(client.post("/v3/rerankk", json=ASKED), 404)["detail"]


def test_a_corpus_ranks_logs_and_takes_feedback(client: httpx.Client, corpus: str) -> None:
    known = [{"id": f"notes/{word}.md"} for word in ("soup", "pasta", "proxy")]
    body = {"model": corpus, "query": "soup by night", "documents": [*known, "Proxy certificates."], "top_n": 3}
    found = ok(client.post("/v2/rerank", json=body))
    assert found["results"][0]["id"] == "notes/soup.md"
    assert (found["logged"], found["collected"], len(found["results"])) == (True, 1, 3)
    click = {"query_id": found["id"], "signal": "click"}
    assert ok(client.post("/feedback", json={**click, "index": 0}))["doc_id"] == "notes/soup.md"
    last = found["results"][-1]
    assert ok(client.post("/feedback", json={**click, "doc_id": last["doc_id"]}))["doc_id"] == last["doc_id"]
    cut = ({0, 1, 2, 3} - {row["index"] for row in found["results"]}).pop()
    for wrong in ({"index": cut}, {"index": 4}, {"index": 0, "doc_id": "notes/pasta.md"}, {"doc_id": "notes/night.md"}):
        assert client.post("/feedback", json={**click, **wrong}).status_code == 422, wrong
    # A text without an id is known by what it says the next time.
    again = ok(client.post("/rerank", json={"model": corpus, "query": "soup", "documents": ["Proxy certificates."]}))
    assert again["collected"] == 0


def test_what_a_search_shows_a_rerank_orders_alike(client: httpx.Client, corpus: str) -> None:
    shown = ok(client.post("/search", json={"corpus_id": corpus, "query": "file for the kitchen"}))["results"]
    documents = [{"id": row["doc_id"], "title": row["title"], "text": row["text"]} for row in reversed(shown)]
    body = {"corpus_id": corpus, "query": "file for the kitchen", "documents": documents, "raw_scores": True}
    found = ok(client.post("/rerank", json=body))["results"]
    assert [row["id"] for row in found] == [row["doc_id"] for row in shown]
    assert [row["relevance_score"] for row in found] == pytest.approx([row["score"] for row in shown])


def test_without_a_corpus_nothing_is_kept(client: httpx.Client) -> None:
    found = ok(client.post("/rerank", json=ASKED))
    assert (found["logged"], found["corpus_id"], found["collected"]) == (False, None, 0)
    response = client.post("/feedback", json={"query_id": found["id"], "signal": "click", "index": 0})
    assert response.status_code == 404
    assert "reranking.rerank_corpus" in response.json()["detail"]


@pytest.mark.parametrize("route", ["/rerank", "/v1/rerank"])
def test_documents_come_back_when_asked_for(route: str, client: httpx.Client) -> None:
    found = ok(client.post(route, json={**ASKED, "documents": [*TEXTS, OBJECTS[0]], "return_documents": "true"}))
    for row in found["results"]:
        expected = {"text": TEXTS[row["index"]]} if row["index"] < 4 else OBJECTS[0]
        assert row["document"] == expected
    second = ok(client.post("/v2/rerank", json={**ASKED, "return_documents": True}))
    assert all("document" not in row for row in second["results"])


def test_voyage(client: httpx.Client) -> None:
    body = {**ASKED, "model": "default", "top_k": 2, "truncation": True, "return_documents": True}
    found = ok(client.post("/voyage/v1/rerank", json=body))
    assert found["object"] == "list"
    assert len(found["data"]) == 2
    assert all(row["document"] == TEXTS[row["index"]] for row in found["data"])
    assert found["usage"]["total_tokens"] > 0
    assert refused(client.post("/voyage/v1/rerank", json={**body, "query": ""}), 400)["detail"].startswith("query")


def test_tei(client: httpx.Client) -> None:
    assert "reranker" in ok(client.get("/info"))["model_type"]
    response = client.post("/rerank", json={"query": "soup", "texts": TEXTS, "return_text": True, "truncate": True})
    found = ok(response)
    assert sorted(row["index"] for row in found) == [0, 1, 2, 3]
    assert all(row["text"] == TEXTS[row["index"]] for row in found)
    assert response.headers["x-rerank-id"]
    raw = ok(client.post("/rerank", json={"query": "soup", "texts": TEXTS, "raw_scores": True}))
    assert [row["index"] for row in raw] == [row["index"] for row in found]
    for texts, status, kind in (([], 400, "Empty"), ([7], 422, "Validation")):
        problem = client.post("/rerank", json={"query": "soup", "texts": texts})
        assert problem.status_code == status
        assert isinstance(problem.json()["error"], str)
        assert problem.json()["error_type"] == kind


def test_info_tells_the_limits_in_force(client: httpx.Client) -> None:
    told, settings = ok(client.get("/info")), ok(client.get("/config"))["settings"]
    assert told["max_concurrent_requests"] == settings["serving"]["max_requests"]["value"]
    assert told["max_client_batch_size"] == settings["reranking"]["rerank_max_documents"]["value"]


# What Open WebUI, Dify and RAGFlow put on the wire, but for the model's name.
RECORDED: dict[str, dict[str, Any]] = {
    "Open WebUI": {"model": "m", "query": "soup", "documents": TEXTS, "top_n": 4},
    "Dify, OpenAI-compatible": {"model": "m", "query": "soup", "documents": TEXTS, "top_n": 4},
    "Dify, older": {"model": "m", "query": "soup", "documents": TEXTS, "top_n": None, "return_documents": True},
    "Dify, Jina": {"model": "m", "query": "soup", "documents": TEXTS, "top_n": 4, "return_documents": False},
    "RAGFlow, Xinference": {
        "model": "m", "query": "soup", "documents": TEXTS, "return_documents": "true", "return_len": "true",
    },
    "RAGFlow, SiliconFlow": {
        "model": "m", "query": "soup", "documents": TEXTS, "top_n": 4, "return_documents": False,
        "max_chunks_per_doc": 1024, "overlap_tokens": 80,
    },
    "LangChain, Cohere": {"model": "m", "query": "soup", "documents": TEXTS, "top_n": None, "max_tokens_per_doc": None},
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_calls(name: str, client: httpx.Client, corpus: str) -> None:
    for header in ("Bearer", "Bearer None", "Bearer anything"):
        body = {**RECORDED[name], "model": corpus}
        found = ok(client.post("/v1/rerank", json=body, headers={"Authorization": header}))
        assert sorted(row["index"] for row in found["results"]) == [0, 1, 2, 3]
        if body.get("return_documents") in (True, "true"):
            assert all(row["document"]["text"] == TEXTS[row["index"]] for row in found["results"])


@pytest.mark.parametrize("model", ["rerank-v3.5", "jina-reranker-v2-base-multilingual", "rerank-2.5"])
def test_recorded_calls_that_name_a_vendor_s_model(model: str, client: httpx.Client) -> None:
    default = ok(client.post("/v1/rerank", json=ASKED))["model"]
    for name, body in RECORDED.items():
        found = ok(client.post("/v1/rerank", json={**body, "model": model}))
        assert sorted(row["index"] for row in found["results"]) == [0, 1, 2, 3], name
        assert (found["model"], model in found["meta"]["warnings"][0]) == (default, True), name


def test_difys_connection_test(client: httpx.Client, corpus: str) -> None:
    texts = ["Kasumi is a girl.", "Kasumi's eyes are red.", "Kasumi likes cats."]
    body = {"model": corpus, "query": "What is the eye colour of Kasumi?", "documents": texts, "top_n": 3}
    assert len(ok(client.post("/v1/rerank", json=body))["results"]) == 3
    assert ok(client.get(f"/v1/models/{corpus}"))["model_type"] == "rerank"
    assert corpus in {row["id"] for row in ok(client.get("/v1/models"))["data"]}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [({"top_n": None}, 4), ({"top_n": 0}, 4), ({"top_n": 9}, 4), ({"top_n": "2"}, 2), ({"top_k": 1}, 1),
     ({"top_n": 2, "top_k": 2}, 2), ({"surprise": {"a": 1}}, 4), ({"max_tokens_per_doc": 1}, 4),
     ({"truncate": "END"}, 4), ({"truncate": "NONE"}, 4), ({"truncate": "Left", "truncation_direction": "Right"}, 4),
     ({"documents": [{"text": "a", "metadata": {"_id": {"$oid": "65a1"}, "id": True}}]}, 1)],
)  # fmt: skip
def test_what_is_taken(sent: dict[str, Any], expected: int, client: httpx.Client) -> None:
    assert len(ok(client.post("/v1/rerank", json={**ASKED, **sent}))["results"]) == expected


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        ({"documents": []}, 400, "must not be empty"),
        ({"documents": "a"}, 400, "documents"),
        ({"documents": [{"content": [{"type": "text", "text": "a"}]}]}, 400, "documents[0].content"),
        ({"documents": ["a", None]}, 400, "documents[1]"),
        ({"documents": [{"id": "x"}]}, 400, "documents[0]"),
        ({"documents": ["a"] * 1001}, 413, "1000"),
        ({"query": "  "}, 400, "query"),
        ({"query": ["a"]}, 400, "query"),
        ({"top_n": -1}, 400, "top_n"),
        ({"top_n": 1.5}, 400, "top_n"),
        ({"top_n": 1, "top_k": 2}, 400, "top_k"),
        ({"return_documents": "perhaps"}, 400, "return_documents"),
        ({"model": "no-such-model"}, 404, "all-"),
        ({"model": "../../etc"}, 404, "etc"),
        ({"corpus_id": "none"}, 404, "none"),
        ({"model": "m" * 100_000}, 400, "model: up to"),
        ({"corpus_id": "c" * 100_000}, 400, "corpus_id: up to"),
        ({"documents": [{}], "rank_fields": ["f" * 100_000]}, 400, "rank_fields: up to"),
        ({"documents": ["word " * 50_000], "truncate": False}, 400, "truncate"),
        ({"documents": ["word " * 50_000], "truncate": "NONE"}, 400, "truncate"),
        ({"truncate": "perhaps"}, 400, "truncate"),
        ({"texts": ["a"]}, 400, "documents and texts are the same and must not differ"),
    ],
)
def test_what_is_refused(sent: dict[str, Any], status: int, said: str, client: httpx.Client) -> None:
    if said == "all-":
        said = ok(client.get("/v1/models"))["data"][-1]["id"]
    assert said in refused(client.post("/v1/rerank", json={**ASKED, **sent}), status)["detail"]


def test_a_url_that_contradicts_its_body(client: httpx.Client, corpus: str) -> None:
    for route in [*ROUTES, "/voyage/v1/rerank"]:
        said = refused(client.post(f"{route}?corpus_id=other", json={**ASKED, "corpus_id": corpus}), 400)["detail"]
        assert f"The URL says 'other' and the body {corpus!r}" in said
        refused(client.post(f"{route}?corpus_id=other&corpus_id={corpus}", json=ASKED), 400)
    assert ok(client.post(f"/rerank?corpus_id={corpus}", json={**ASKED, "corpus_id": corpus}))["corpus_id"] == corpus


def test_a_body_that_is_no_json_or_too_large(client: httpx.Client) -> None:
    refused(client.post("/rerank", content=b"{"), 400)
    refused(client.post("/rerank", content=b"[" * 100_000), 400)
    twice = b'{"query": "a", "documents": ["b"], "query": "c"}'
    assert "'query' comes twice" in refused(client.post("/rerank", content=twice), 400)["detail"]
    assert "33,554,432" in refused(client.post("/rerank", content=b" " * (33 << 20)), 413)["detail"]


def test_any_document_is_ranked(client: httpx.Client, corpus: str) -> None:
    documents = ["", " \n ", "soup", "soup", "a\x00b", "\ud800", "字" * 3000, "x" * 100_000, "Soup and pasta. " * 6000]
    documents += [f"number {number}" for number in range(40)]
    for model in (corpus, "default"):
        content = {"model": model, "query": "soup \x00", "documents": documents}
        found = ok(client.post("/rerank", content=json.dumps(content)))
        assert sorted(row["index"] for row in found["results"]) == list(range(len(documents)))
        at = {row["index"]: row["relevance_score"] for row in found["results"]}
        assert at[2] == at[3]
        assert [row["index"] for row in found["results"]].index(2) < [r["index"] for r in found["results"]].index(3)
        assert "not read whole" in found["meta"]["warnings"][-1]


@pytest.mark.parametrize("empty", ["", " \n\t "])
def test_a_document_without_text_is_last(empty: str, client: httpx.Client, corpus: str) -> None:
    for model in ({"model": corpus}, {}):
        body = {"query": "zebra crossing", "documents": [empty, "The kitchen serves soup.", empty, "Proxies."], **model}
        found = ok(client.post("/v1/rerank", json=body))["results"]
        assert [row["index"] for row in found][2:] == [0, 2]
        assert [row["relevance_score"] for row in found][2:] == pytest.approx([0, 0], abs=0.01)
        alone = ok(client.post("/v1/rerank", json={**body, "documents": [empty]}))["results"]
        assert [row["index"] for row in alone] == [0]


def test_a_thousand_documents(client: httpx.Client, corpus: str) -> None:
    body = {"model": corpus, "query": "soup 7", "documents": [f"soup number {n}" for n in range(1000)]}
    found = ok(client.post("/rerank", json=body, timeout=60))
    assert sorted(row["index"] for row in found["results"]) == list(range(1000))


def test_fields_that_are_ranked(client: httpx.Client) -> None:
    documents = [{"text": "nothing", "city": "soup kitchen"}, {"text": "soup kitchen", "city": "nothing"}]
    for fields, best in ((["city"], 0), (["text"], 1)):
        body = {"query": "soup kitchen", "documents": documents, "rank_fields": fields}
        assert ok(client.post("/v1/rerank", json=body))["results"][0]["index"] == best


def test_what_is_refused_is_not_logged(client: httpx.Client, corpus: str) -> None:
    def logged() -> int:
        return int(ok(client.get(f"/corpora/{corpus}/logs/stats"))["impressions"])

    before = logged()
    long = {"documents": ["word " * 50_000], "truncate": False}
    for wrong in (long, {"return_documents": "perhaps"}, {"raw_scores": 7}, {"return_text": "no idea"}):
        refused(client.post("/rerank", json={**ASKED, "corpus_id": corpus, **wrong}), 400)
    assert logged() == before


def test_a_reranker_that_fails_is_told_in_every_form(client: httpx.Client, fresh: str) -> None:
    ok(client.patch(f"{fresh}/config", json={"reranking": {"reranker_mode": "local"}}))
    for route in ("/rerank", "/v2/rerank", "/voyage/v1/rerank"):
        response = client.post(route, json={**ASKED, "model": "fresh"})
        found = ok(response)
        assert (found["reranked"], found["fallback_code"]) == (False, "model_unavailable")
        assert response.headers["x-rerank-fallback"] == "model_unavailable"
    tei = client.post("/rerank", json={"query": "soup", "texts": TEXTS, "corpus_id": "fresh"})
    assert len(ok(tei)) == len(TEXTS)
    assert tei.headers["x-rerank-fallback"] == "model_unavailable"
    assert "x-rerank-fallback" not in client.post("/rerank", json=ASKED).headers


def test_a_model_that_is_not_there_may_mean_the_default(client: httpx.Client, fresh: str) -> None:
    assert ok(client.post("/rerank", json={**ASKED, "model": "fresh___Xinference"}))["corpus_id"] == "fresh"
    body = {**ASKED, "model": "someone-s-reranker"}
    assert "rerank_unknown_model" in refused(client.post("/v2/rerank", json=body), 404)["detail"]
    ok(client.patch("/config", json={"reranking": {"rerank_unknown_model": "default"}}))
    try:
        found = ok(client.post("/v2/rerank", json=body))
        assert found["model"] != body["model"]
        assert body["model"] in found["meta"]["warnings"][0]
        assert ok(client.post("/v2/rerank", json={**body, "corpus_id": "fresh"}))["logged"] is True
        refused(client.post("/v2/rerank", json={**body, "corpus_id": "none"}), 404)
    finally:
        ok(client.patch("/config", json={"reranking": None}))


@pytest.mark.parametrize(
    ("route", "name", "vendor"),
    [
        ("/v2/rerank", "rerank-v3.5", "cohere"),
        ("/v1/rerank", "jina-reranker-v2-base-multilingual", "jina"),
        ("/voyage/v1/rerank", "rerank-2.5", "voyage"),
    ],
)
def test_a_vendor_s_model_is_answered_by_what_answers_without_one(
    client: httpx.Client, route: str, name: str, vendor: str
) -> None:
    default = ok(client.post("/rerank", json=ASKED))
    found = ok(client.post(route, json={**ASKED, "model": name}))
    assert (found["model"], found["model_id"]) == (default["model"], default["model_id"])
    if vendor != "voyage":  # whose form has no place for a warning; `model` says it there
        assert found["meta"]["warnings"][0] == f"{name!r} is a model of {vendor}: {default['model']!r} answered."


def test_what_no_database_takes_is_left_out(client: httpx.Client, fresh: str) -> None:
    odd = {"id": "odd", "text": "soup", "uri": "file:\ud800\0", "title": "\ud800", "metadata": {"a": "\ud800\0"}}
    found = ok(client.post("/rerank", content=json.dumps({"model": "fresh", "query": "soup", "documents": [odd]})))
    assert (found["logged"], found["collected"]) == (True, 1)
