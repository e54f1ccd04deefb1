"""packages/tribrid-client against a real server, and every type and call of it against the OpenAPI document."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from conftest import REPO_ROOT
from serving import Serve
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid_client import (
    AsyncTribridClient,
    TribridClient,
    TribridError,
    Unreachable,
    calls,
    feedback_of,
    kept_of_rerank,
    kept_of_search,
    models,
)
from waiting import awaited

pytestmark = pytest.mark.timeout(300)
QUERY, TEXTS = "soup in the kitchen", ["The proxy.", "A kitchen has pasta and soup.", "Night."]
NAMED_OTHERWISE = {"Corpus": "CorpusFacts"}
CALLS: list[calls.Call[Any]] = [
    calls.search("c", QUERY, 3, {"client_id": "me", "filter": {"lang": "de"}, "per": "passage"}),
    calls.rerank(QUERY, TEXTS, {"corpus_id": "c"}),
    calls.feedback("q", "rating", "d", None, 5),
    calls.feedback("q", "click", "d", 1, None),
    calls.corpora(),
    calls.create_corpus("c", "C"),
    calls.add_documents("c", [{"doc_id": "a", "text": "b"}]),
    calls.put_judgments("c", [], True),
    calls.put_eval_dataset("c", []),
]


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.fixture
def ours(client: httpx.Client) -> Iterator[TribridClient]:
    with TribridClient(str(client.base_url), timeout_s=60) as opened:
        yield opened


def shape(schema: dict[str, Any]) -> Any:
    """What a schema says of a value's type: names of types, without words and bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return NAMED_OTHERWISE.get(name, name)
    if "anyOf" in schema:
        return frozenset(shape(kind) for kind in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return "string" if schema.get("type", "string") == "string" else schema["type"]
    if schema.get("type") == "array":
        return ("array", shape(schema.get("items", {})))
    return (schema["type"], schema.get("format")) if "format" in schema else schema.get("type")


def answers() -> list[type[BaseModel]]:
    found = [kind for _, kind in inspect.getmembers(models, inspect.isclass) if issubclass(kind, models.Answer)]
    return [kind for kind in found if kind is not models.Answer]


@pytest.mark.parametrize("kind", answers(), ids=lambda kind: kind.__name__)
def test_a_type_is_the_server_s(kind: type[BaseModel], document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    name = NAMED_OTHERWISE.get(kind.__name__, kind.__name__)
    theirs = schemas["CohereRow" if name == "RerankRow" else name]
    own = kind.model_json_schema(mode="serialization")["properties"]
    assert own.keys() <= theirs["properties"].keys()
    for field, schema in own.items():
        expected = shape(theirs["properties"][field])
        if isinstance(expected, str) and expected in schemas and "enum" in schemas[expected]:
            expected = "string"
        if field != "results" or name != "RerankAnswer":
            assert shape(schema) == expected or (field, shape(schema)) == ("document", expected), (kind.__name__, field)
    needed = {field for field, told in kind.model_fields.items() if told.is_required()}
    assert needed <= set(theirs["required"])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_a_call_is_the_server_s(call: calls.Call[Any], document: dict[str, Any]) -> None:
    operation = document["paths"][call.path.replace("/corpora/c/", "/corpora/{corpus_id}/")][call.method.lower()]
    assert set(call.params) <= {told["name"] for told in operation.get("parameters", [])}
    if call.body is None:
        return
    content = operation["requestBody"]["content"]["application/json"]
    if "$ref" in content.get("schema", {}):
        body = document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]
        assert call.body.keys() <= body["properties"].keys()
        assert set(body.get("required", [])) <= call.body.keys()


def methods(client: type) -> dict[str, str]:
    """Each method with its arguments and what it returns."""
    found = {name: of for name, of in inspect.getmembers(client, inspect.isfunction) if not name.startswith("_")}
    return {
        name.removeprefix("a") if name == "aclose" else name: str(inspect.signature(of)) for name, of in found.items()
    }


def test_both_clients_do_the_same() -> None:
    assert methods(TribridClient) == methods(AsyncTribridClient)


def test_a_search_and_its_feedback(ours: TribridClient, corpus: str) -> None:
    found = ours.search(corpus, QUERY, top_k=3)
    assert [result.rank for result in found.results] == [1, 2, 3]
    told = feedback_of(kept_of_search(found, found.results[1]))
    assert ours.feedback(signal="click", **told).doc_id == found.results[1].doc_id


def test_a_rerank_and_its_feedback(ours: TribridClient, corpus: str) -> None:
    given: list[calls.Document] = [TEXTS[0], {"id": "notes/soup.md", "text": TEXTS[1]}, TEXTS[2]]
    answer = ours.rerank(QUERY, given, corpus_id=corpus, top_n=2, return_documents=True)
    assert answer.logged
    assert answer.results[0].index == 1
    assert answer.results[0].document is not None
    told = feedback_of(kept_of_rerank(answer, answer.results[0]))
    assert told["index"] == 1
    assert ours.feedback(signal="thumbs_up", **told).ok
    with pytest.raises(ValueError, match="did not come from Tribrid"):
        feedback_of({"source": "elsewhere"})


def test_what_goes_in(ours: TribridClient) -> None:
    made = ours.create_corpus("from-client", "From the client")
    assert (made.corpus_id, made.documents) == ("from-client", 0)
    assert any(corpus.corpus_id == "from-client" for corpus in ours.corpora())
    added = ours.add_documents("from-client", [{"doc_id": "a", "text": "Soup\nand tea."}, {"doc_id": "b"}])
    assert (added.documents, added.skipped[0].doc_id) == (1, "b")
    judged = [{"query_id": "q", "text": "soup", "judgments": {"a": 1}}]
    assert ours.put_judgments("from-client", judged, replace=True).judgments == 1
    assert ours.put_eval_dataset("from-client", [{**judged[0], "text": "tea"}]).version == 1
    assert ours.mine("from-client", sources=["judgments"])["status"] == "succeeded"
    assert ours.call("GET", "/reranker/status", params={"corpus_id": "from-client"})["corpus_id"] == "from-client"


def test_a_refusal_has_the_server_s_code(ours: TribridClient) -> None:
    with pytest.raises(TribridError) as refused:
        ours.search("nowhere", QUERY)
    assert (refused.value.code, refused.value.status) == ("corpus_not_found", 404)
    assert "nowhere" in str(refused.value)
    with pytest.raises(TribridError) as refused:
        ours.rerank(QUERY, TEXTS, model="someone-s")
    assert refused.value.code == "model_not_found"


def test_a_path_s_own_query_and_params_both_count(ours: TribridClient, corpus: str) -> None:
    def asked(path: str, **params: str) -> str:
        return str(ours.call("GET", path, params=params)["corpus_id"])

    assert asked(f"/reranker/status?corpus_id={corpus}") == corpus
    with pytest.raises(TribridError, match="another"):  # it names the parameter that there is not
        asked(f"/reranker/status?corpus_id={corpus}", another="x")
    for client in (TribridClient, AsyncTribridClient):
        with pytest.raises(ValueError, match="without a query"):
            client("http://localhost:8000?corpus_id=notes")


def test_no_answer_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with TribridClient(url, timeout_s=2) as nobody, pytest.raises(Unreachable, match="did not answer"):
            nobody.corpora()


def test_a_key_is_sent(serve: Serve, tmp_path: Any) -> None:
    with Tribrid(tmp_path / "data") as tribrid:
        key = tribrid.keys.create(name="client", scopes=["admin"]).key
        running = serve(create_app(tribrid))
        with TribridClient(running.url) as nameless, pytest.raises(TribridError) as refused:
            nameless.corpora()
        assert refused.value.status == 401
        with TribridClient(running.url, api_key=key) as named:
            assert named.corpora() == ()


def test_the_async_client_is_answered_alike(client: httpx.Client, corpus: str) -> None:
    async def ask() -> list[Any]:
        async with AsyncTribridClient(str(client.base_url), timeout_s=60) as ours:
            found = await ours.search(corpus, QUERY)
            answer = await ours.rerank(QUERY, TEXTS, corpus_id=corpus)
            done = await ours.feedback(answer.id, "click", index=0)
            with pytest.raises(TribridError):
                await ours.search("nowhere", QUERY)
            return [found, answer, done]

    found, answer, done = awaited(ask())
    assert found.results
    assert len(answer.results) == 3
    assert done.ok


def test_it_needs_nothing_of_tribrid() -> None:
    code = "import sys; sys.modules['tribrid'] = None; import tribrid_client; print(tribrid_client.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPO_ROOT / "packages" / "tribrid-client" / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "tribrid_client"
