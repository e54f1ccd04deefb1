"""The surface as a whole: what was promised is there, everything is described, and nothing that is sent breaks it."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from http_examples import ndjson, ok, refused
from serving import Serve
from tribrid.api import create_app
from tribrid.api.openapi import TAGS
from tribrid.api.readiness import Readiness
from tribrid.app import Tribrid
from tribrid.app.health import Condition
from tribrid.config.sections import TrainingConfig
from tribrid.errors import MissingExtra, Unavailable
from waiting import until

pytestmark = pytest.mark.timeout(300)

# The table of the page that users were promised, and design section 3.
PROMISED = """
    GET /reranker/status            GET /reranker/info          POST /reranker/mine     POST /reranker/train
    POST /reranker/evaluate         GET /reranker/train/run/{run_id}    GET /reranker/train/run/{run_id}/metrics
    GET /health     GET /ready      GET /metrics
    POST /corpora   GET /corpora    GET /corpora/{corpus_id}    DELETE /corpora/{corpus_id}
    POST /corpora/{corpus_id}/documents
    PUT /corpora/{corpus_id}/eval_dataset   GET /corpora/{corpus_id}/eval_dataset
    PUT /corpora/{corpus_id}/judgments      GET /corpora/{corpus_id}/judgments
    GET /config     PATCH /config   GET /corpora/{corpus_id}/config     PATCH /corpora/{corpus_id}/config
    POST /search    POST /feedback  POST /corpora/{corpus_id}/logs      GET /corpora/{corpus_id}/logs/stats
    GET /reranker/train/runs        POST /reranker/train/run/{run_id}/cancel    GET /reranker/train/diff
    GET /reranker/models            POST /reranker/promote              POST /reranker/rollback
    GET /reranker/triplets          PATCH /reranker/triplets/{triplet_id}       GET /reranker/readiness
    GET /reranker/evaluations/{evaluation_id}                           GET /reranker/evaluations/diff
    GET /reranker/models/{model_id}     GET /reranker/models/{model_id}/queries
    POST /corpora/{corpus_id}/erase     GET /corpora/{corpus_id}/erasures
    DELETE /corpora/{corpus_id}/logs/queries/{query_id}     DELETE /corpora/{corpus_id}/logs/clients/{client_id}
    GET /reranker/evaluations/{evaluation_id}
    GET /reranker/evaluations/{evaluation_id}/queries                   GET /jobs/{job_id}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with Tribrid(tmp_path_factory.mktemp("schema")) as tribrid:
        return create_app(tribrid).openapi()


@pytest.fixture(scope="module")
def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_what_was_promised_is_there(operations: dict[str, Any]) -> None:
    promised = {" ".join(pair) for pair in zip(*[iter(PROMISED.split())] * 2, strict=True)}
    assert promised <= {re.sub(r":path\}", "}", name) for name in operations}


def test_everything_is_described(operations: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in TAGS}
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"].endswith((".", ":", "`")), name
        assert set(operation["tags"]) <= tags, name
        assert len(operation["tags"]) == 1, name
        assert "application/problem+json" in operation["responses"]["default"]["content"], name
        assert "422" not in operation["responses"], f"{name}: the framework's own form of errors"
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), f"{name}: {parameter['name']}"


def test_everything_that_takes_a_body_says_what(schema: dict[str, Any], operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        takes = name.split()[0] in ("POST", "PUT", "PATCH") and not name.endswith(("/cancel", "/index"))
        assert ("requestBody" in operation) is takes, name
    for name, body in schema["components"]["schemas"].items():
        if name.endswith("Body") and name != "ProblemBody":
            assert body["additionalProperties"] is False, name
            assert all("description" in field for field in body["properties"].values()), name


def test_training_takes_exactly_the_settings_of_training(schema: dict[str, Any]) -> None:
    fields = schema["components"]["schemas"]["TrainBody"]["properties"]
    assert fields.keys() - {"corpus_id", "wait"} == TrainingConfig.model_fields.keys()
    assert fields["epochs"]["maximum"] == 50
    assert fields["epochs"]["default"] == 2


def test_the_docs_page_has_it_all_and_loads_nothing(client: httpx.Client, operations: dict[str, Any]) -> None:
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    for name in operations:
        method, path = name.split()
        assert f"<b>{method}</b><code>{path}</code>" in response.text, name
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", response.text)
    assert ok(client.get("/openapi.json"))["info"]["title"] == "Tribrid"


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a number": b"1e400",
    "cut": b'{"corpus_id": "surface", "queries": [',
    "not UTF-8": b'{"corpus_id": "\xff\xfe"}',
    "a NUL": b'{"corpus_id": "a\\u0000", "query": "\\u0000", "query_id": "\\u0000", "signal": "click"}',
    "half a character": b'{"corpus_id": "surface", "query": "\\ud800", "reason": "\\udfff"}',
    "NaN": b'{"corpus_id": "surface", "query": "x", "top_k": NaN, "epochs": NaN}',
    "a huge integer": b'{"corpus_id": "surface", "query": "x", "top_k": ' + b"9" * 5000 + b"}",
    "a path": b'{"corpus_id": "../../etc/passwd", "query": "x", "model_id": "../x", "reason": "r"}',
    "deep": b'{"corpus_id": ' * 3000 + b"1" + b"}" * 3000,
    "wrong types": b'{"corpus_id": {"a": 1}, "query": ["x"], "wait": "x", "doc_ids": [{}], "queries": "q"}',
    "an unknown field": b'{"corpus_id": "surface", "query": "x", "surprise": 1}',
    "an unknown corpus": b'{"corpus_id": "none", "query": "x", "reason": "r"}',
}
IDS = ["none", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "a" * 3000, "%F0%9F%98%80", "-1", "'; --", "%25s"]
QUERIES = ["offset=-1&limit=0&after_seq=-1", "offset=" + "9" * 30, "corpus_id=%00", "corpus_id=none&a=none&b=none"]
QUERIES += ["corpus_id=surface&sort='&limit=1", "limit=x&follow=x&replace=x&format=x&source=x", "corpus_id=%ff&a=%ff"]


@pytest.fixture(scope="module")
def surface(client: httpx.Client) -> None:
    ok(client.post("/corpora", json={"corpus_id": "surface"}), 201)
    ok(client.post("/corpora/surface/documents", content=ndjson([{"_id": "a", "text": "soup"}])))


def sound(response: httpx.Response, name: str) -> None:
    """The answer is no 5xx, and if it refuses, it is a problem that says why."""
    assert response.status_code < 500, f"{name}: {response.text}"
    response.content.decode("utf-8")
    if response.status_code >= 400:
        body = response.json()
        assert response.headers["content-type"] == "application/problem+json", name
        assert isinstance(body["detail"], str), name
        assert body["detail"], name
        assert body["code"], name


def calls(operations: dict[str, Any], path_id: str) -> list[tuple[str, str]]:
    return [
        (name.split()[0], re.sub(r"\{[^}]+\}", path_id, name.split()[1]))
        for name in operations
        if name != "DELETE /corpora/{corpus_id}" or path_id != "surface"
    ]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_no_body_breaks_anything(body: bytes, operations: dict[str, Any], client: httpx.Client, surface: None) -> None:
    for method, path in calls(operations, "surface"):
        if method in ("POST", "PUT", "PATCH") and not path.startswith("/reranker/train/run/"):
            response = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
            sound(response, f"{method} {path}")
            # A broken record does not stop the others: uploads may take what the rest refuse. An index is made without.
            taken = path.endswith(("/documents", "/logs", "/index"))
            assert taken or response.status_code >= 400 or body == b"{}", f"{method} {path}: {response.text}"


@pytest.mark.parametrize("path_id", IDS)
def test_no_path_breaks_anything(path_id: str, operations: dict[str, Any], client: httpx.Client) -> None:
    for method, path in calls(operations, path_id):
        if "{" in path or path_id not in path:
            continue
        response = client.request(method, path, content=b"{}", headers={"Content-Type": "application/json"})
        sound(response, f"{method} {path}")
        assert response.status_code in (404, 405, 422), f"{method} {path}: {response.status_code}"


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_breaks_anything(query: str, operations: dict[str, Any], client: httpx.Client, surface: None) -> None:
    for method, path in calls(operations, "surface"):
        if method == "GET":
            sound(client.get(f"{path}?{query}"), f"{path}?{query}")


@pytest.mark.parametrize(
    ("method", "url", "name", "says"),
    [
        ("GET", "/reranker/triplets?corpus_id=surface&limt=1", "limt", "'limit'"),
        ("GET", "/reranker/train/run/none/metrics?folow=false", "folow", "'follow'"),
        ("PUT", "/corpora/surface/judgments?replce=true", "replce", "'replace'"),
        ("POST", "/corpora/surface/logs?fromat=ubi", "fromat", "'format'"),
        ("DELETE", "/corpora/surface?really=no", "really", "takes none"),
    ],
)
def test_a_parameter_that_a_route_has_not_is_named(
    method: str, url: str, name: str, says: str, client: httpx.Client, surface: None
) -> None:
    body = refused(client.request(method, url, content=b"{}" if method != "GET" else None), 422, "unknown_setting")
    assert body["field"] == name
    assert says in body["detail"]
    assert ok(client.get("/health?from=a-probe"))


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("GET", "/reranker/triplets?corpus_id=surface&corpus_id=other", "corpus_id"),
        ("GET", "/reranker/triplets?corpus_id=surface&limit=1&limit=2", "limit"),
        ("PUT", "/corpora/surface/judgments?replace=true&replace=false", "replace"),
        ("GET", "/info?corpus_id=surface&corpus_id=other", "corpus_id"),
    ],
)
def test_a_parameter_with_two_values_is_named(
    method: str, url: str, name: str, client: httpx.Client, surface: None
) -> None:
    assert refused(client.request(method, url), 422, "invalid_input")["field"] == name
    assert ok(client.get("/info?corpus_id=surface&corpus_id=surface"))


def test_no_route_takes_a_name_in_its_url_and_in_its_body(schema: dict[str, Any]) -> None:
    """Two values for one thing: rerank alone does, and refuses those that differ (test_api_rerank.py)."""
    assert in_both(schema) == []
    operation = schema["paths"]["/search"]["post"]
    twice = {**operation, "parameters": [{"name": "corpus_id"}]}
    assert in_both({**schema, "paths": {"/search": {"post": twice}}}) == ["post /search: corpus_id"]


def in_both(schema: dict[str, Any]) -> list[str]:
    found = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            in_url = {parameter["name"] for parameter in operation.get("parameters", ())}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                fields = schema["components"]["schemas"].get(name, {}).get("properties", {})
                found += [f"{method} {path}: {name}" for name in in_url & fields.keys()]
    return found


def test_a_setting_of_the_whole_server_is_no_corpus_s(client: httpx.Client, surface: None) -> None:
    for section, name, value in (("serving", "max_upload_mb", 1), ("reranking", "rerank_corpus", "surface")):
        body = refused(client.patch("/corpora/surface/config", json={section: {name: value}}), 422, "invalid_input")
        assert body["setting"] == f"{section}.{name}"
        assert "acts on the whole server" in body["detail"]
        ok(client.patch("/corpora/surface/config", json={section: {name: None}}))  # what an older version took


def test_every_method_on_every_path(schema: dict[str, Any], client: httpx.Client, surface: None) -> None:
    for path, methods in schema["paths"].items():
        url = re.sub(r"\{[^}]+\}", "none", path)
        for method in {"GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - {name.upper() for name in methods}:
            response = client.request(method, url)
            sound(response, f"{method} {path}")
            if "{doc_id}" not in path and not url.endswith("/delete"):  # two templates share these
                assert response.status_code == 405, f"{method} {path}"
                assert set(response.headers["allow"].split(", ")) == {name.upper() for name in methods}


def test_a_corpus_that_is_not_there(operations: dict[str, Any], client: httpx.Client) -> None:
    for method, path in calls(operations, "none"):
        if path.startswith("/corpora/none") and method in ("GET", "DELETE"):
            judges = {"a": "anna", "b": "bert"} if path.endswith("/agreement") else None
            refused(client.request(method, path, params=judges), 404, "corpus_not_found")
    for path in ("mine", "train", "evaluate", "judge", "rollback"):
        refused(client.post(f"/reranker/{path}", json={"corpus_id": "none"}), 404, "corpus_not_found")
    for path in ("status", "models", "triplets", "evaluations", "train/runs"):
        refused(client.get(f"/reranker/{path}", params={"corpus_id": "none"}), 404, "corpus_not_found")
    refused(client.post("/search", json={"corpus_id": "none", "query": "x"}), 404, "corpus_not_found")
    refused(client.get("/corpora/none/config"), 404, "corpus_not_found")
    refused(client.patch("/corpora/none/config", json={}), 404, "corpus_not_found")


def test_other_things_that_are_not_there(client: httpx.Client) -> None:
    refused(client.get("/reranker/train/run/none"), 404, "run_not_found")
    refused(client.get("/reranker/train/run/none/metrics"), 404, "run_not_found")
    refused(client.post("/reranker/train/run/none/cancel"), 404, "job_not_found")
    refused(client.get("/reranker/train/diff?a=none&b=none"), 404, "run_not_found")
    refused(client.get("/reranker/evaluations/none"), 404, "evaluation_not_found")
    refused(client.get("/reranker/evaluations/none/queries"), 404, "evaluation_not_found")
    refused(client.get("/jobs/none"), 404, "job_not_found")


def test_a_long_request_does_not_hold_up_the_others(client: httpx.Client, surface: None) -> None:
    """The event loop never waits: /health answers while large bodies are read and parsed."""
    queries = [{"query_id": str(number), "text": f"t{number}", "judgments": {"a": 1}} for number in range(40_000)]
    content = json.dumps({"queries": queries})
    url, answered = str(client.base_url), 0
    sender = threading.Thread(target=lambda: httpx.put(f"{url}/corpora/surface/judgments", content=content, timeout=60))
    sender.start()
    with httpx.Client(base_url=url) as other:
        while sender.is_alive():
            assert other.get("/health").status_code == 200
            answered += 1
    assert answered > 20


# ------------------------------------------------------------------------------------------ readiness


def _well() -> Condition:
    return Condition((), {})


def _nothing() -> None:
    """Nothing is to be mended."""


def test_ready_once_the_models_are_loaded() -> None:
    loaded = threading.Event()

    def warm() -> None:
        loaded.wait(5)

    readiness = Readiness(warm, _well, _nothing)
    readiness.start()
    with pytest.raises(Unavailable, match="being loaded"):
        readiness.check()
    assert not readiness.warm
    loaded.set()
    until(lambda: readiness.warm)
    readiness.check()


def test_not_ready_says_why_and_tries_again() -> None:
    mended = threading.Event()

    def warm() -> None:
        if not mended.is_set():
            raise MissingExtra("torch", "train", "Exporting the model")

    def why() -> str:
        with pytest.raises(Unavailable) as caught:
            readiness.check()
        return caught.value.detail

    readiness = Readiness(warm, _well, _nothing, retry_s=0.01)
    readiness.start()
    until(lambda: "pip install '.[train]'" in why())
    mended.set()
    until(lambda: readiness.warm)


def test_a_worker_runs_as_long_as_the_server(serve: Serve, tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        app: FastAPI = create_app(tribrid)
        server = serve(app)
        until(lambda: tribrid.supervisor.health().alive)
        assert server.client().get("/health").status_code == 200
