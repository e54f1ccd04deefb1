"""A key that is bound to corpora: every route refuses it what is of another, and tells it nothing of that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from http_examples import ok, refused
from reports import report
from serving import Serve
from tribrid.api import create_app
from tribrid.api.scopes import OF_ALL, ROUTES
from tribrid.app import Tribrid
from tribrid.errors import CorpusNotFound, Forbidden, InvalidInput, JobNotFound
from tribrid.store.database import now_us
from tribrid.types import (
    Document,
    Impression,
    JobKind,
    JudgedQuery,
    ModelVersion,
    ShownDoc,
    Source,
    State,
    Triplet,
)
from waiting import until

SECRETS = ("theirs", "secret", "5ec2e7")
"""What stands in everything that is the other corpus's."""
UNKNOWN = "0123456789abcdef"


def filled(tribrid: Tribrid, corpus_id: str, word: str) -> dict[str, str]:
    """A corpus with one of everything, and the ids of that."""
    tribrid.create_corpus(corpus_id, f"{word} name")
    store, doc_id = tribrid.store, f"{word}.md"
    store.documents.upsert(corpus_id, [Document(doc_id, f"The {word} text.", word)])
    shown = (ShownDoc(doc_id, 1, 1.0, 0, 1, {}),)
    store.logs.add_impression(
        Impression(f"{word}-search", corpus_id, f"{word} query", shown, "retrieval", False, None, 1.0, now_us())
    )
    judged = [JudgedQuery("q", f"{word} query", {doc_id: 1})]
    for judge in ("anna", "bert"):
        store.judgments.put(corpus_id, judged, replace=False, judge=judge)
    dataset = store.evalsets.put(corpus_id, judged, "ndcg@10")
    triplet = Triplet("q", f"{word} query", (doc_id, 0), ("other.md", 0), Source.LOGS, 1.0, "clicked", f"{word}-e")
    store.triplets.put(corpus_id, {}, {}, [triplet])
    latest = store.triplets.latest(corpus_id)
    (row,), _ = store.triplets.page(corpus_id, latest.triplet_set_id, None, 0, 1)
    model_id = f"{word}-model"
    store.models.put(ModelVersion(model_id, corpus_id, "handmade", "ab" * 32, {}, now_us()))
    told = report(corpus_id=corpus_id, evaluation_id=f"{word}-evaluation", model_id=model_id)
    store.evaluations.put(f"{word}-evaluation", corpus_id, told, [], dataset.sha256)
    run_id = store.jobs.create(JobKind.TRAIN, corpus_id, {}).job_id
    store.jobs.finish(run_id, State.CANCELLED, None, None)
    return {
        "corpus_id": corpus_id, "doc_id": doc_id, "query_id": f"{word}-search", "model_id": model_id,
        "evaluation_id": f"{word}-evaluation", "run_id": run_id, "job_id": run_id, "triplet_id": row.triplet_id,
        "client_id": word, "model": model_id,
    }  # fmt: skip


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("bound")) as opened:
        yield opened


@pytest.fixture(scope="module")
def ids(tribrid: Tribrid) -> dict[str, dict[str, str]]:
    return {"theirs": filled(tribrid, "theirs", "secret-5ec2e7"), "mine": filled(tribrid, "mine", "own")}


@pytest.fixture(scope="module")
def client(serve_all: Serve, tribrid: Tribrid, ids: object) -> httpx.Client:
    """Bears a key that may do everything, in one corpus."""
    key = tribrid.keys.create("bound", ["admin"], ["mine"]).key
    client = serve_all(create_app(tribrid)).client(Authorization=f"Bearer {key}")
    client.timeout = httpx.Timeout(60)  # the first search loads the encoder
    return client


Sent = Mapping[str, Any]
"""What a request has beside its path: query (`params`), body (`json`), or what the path's parameters are."""

_BY_CORPUS: list[Sent] = [{"params": {"corpus_id": "{corpus_id}"}}]
_OF_CORPUS: list[Sent] = [{"json": {"corpus_id": "{corpus_id}"}}]
_SIDES: list[Sent] = [{"params": {"a": "{own}", "b": "{other}"}}, {"params": {"a": "{other}", "b": "{own}"}}]
_DOCUMENTS = ["one text", "another"]
_RERANK: list[Sent] = [
    {"json": {"query": "x", "documents": _DOCUMENTS, "corpus_id": "{corpus_id}"}},
    {"json": {"query": "x", "documents": _DOCUMENTS, "model": "{corpus_id}"}},
    {"json": {"query": "x", "documents": _DOCUMENTS, "model": "{model_id}"}},
    {"json": {"query": "x", "documents": _DOCUMENTS, "model": "{model_id}", "corpus_id": "mine"}},
    {"json": {"query": "x", "documents": _DOCUMENTS, "model": "{corpus_id}___OpenAI-API"}},
    {"json": {"query": "x", "texts": _DOCUMENTS, "model": "{corpus_id}"}},
    {"json": {"query": "x", "documents": _DOCUMENTS}, "params": {"corpus_id": "{corpus_id}"}},
]
CALLS: dict[str, list[Sent]] = {
    "POST /search": [{"json": {"corpus_id": "{corpus_id}", "query": "x"}}],
    "POST /corpora/{corpus_id}/eval_dataset/from_logs": [{"json": {"last": "14d"}}],
    "POST /feedback": [{"json": {"query_id": "{query_id}", "signal": "click", "doc_id": "{doc_id}"}}],
    **{name: _RERANK for name in ROUTES if "rerank" in name and "/reranker/" not in name},
    "GET /info": _BY_CORPUS,
    "GET /reranker/status": _BY_CORPUS,
    "GET /reranker/readiness": _BY_CORPUS,
    "POST /reranker/judge": _OF_CORPUS,
    "GET /reranker/judge": _BY_CORPUS,
    "POST /reranker/mine": _OF_CORPUS,
    "POST /reranker/train": _OF_CORPUS,
    "POST /reranker/evaluate": [
        {"json": {"corpus_id": "{corpus_id}"}},
        {"json": {"corpus_ids": ["{corpus_id}"]}},
        {"json": {"corpus_id": "mine", "corpus_ids": ["{corpus_id}"]}},
        {"json": {"corpus_id": "mine", "model_id": "{model_id}"}},
    ],
    "GET /reranker/triplets": _BY_CORPUS,
    "PATCH /reranker/triplets/{triplet_id}": [{"json": {"decision": "drop"}}],
    "GET /reranker/evaluations": _BY_CORPUS,
    "GET /reranker/evaluations/diff": _SIDES,
    "GET /reranker/evaluations/{evaluation_id}": [{}, {"params": {"format": "html"}}, {"params": {"format": "junit"}}],
    "GET /reranker/train/runs": _BY_CORPUS,
    "GET /reranker/train/diff": _SIDES,
    "GET /reranker/models": _BY_CORPUS,
    "POST /reranker/promote": [
        {"json": {"corpus_id": "{corpus_id}"}},
        {"json": {"corpus_id": "mine", "model_id": "{model_id}", "force": True, "reason": "r"}},
    ],
    "POST /reranker/rollback": _OF_CORPUS,
    "PUT /corpora/{corpus_id}/judgments": [{"json": {"queries": []}}],
    "GET /corpora/{corpus_id}/judgments/agreement": [{"params": {"a": "anna", "b": "bert"}}],
    "PUT /corpora/{corpus_id}/eval_dataset": [{"json": {"queries": []}}],
    "PATCH /corpora/{corpus_id}/config": [{"json": {}}],
    "POST /corpora/{corpus_id}/documents": [{"json": [{"_id": "planted", "text": "x"}]}],
    "POST /corpora/{corpus_id}/documents/delete": [{"json": {"doc_ids": ["{doc_id}"]}}],
    "POST /corpora/{corpus_id}/logs": [{"json": []}],
    "POST /corpora/{corpus_id}/erase": [{"json": {"doc_id": "{doc_id}"}}],
    "POST /corpora": [{"json": {"corpus_id": "{corpus_id}"}}],
    "PATCH /config": [{"json": {}}],
}
"""What is sent to a route that its path does not say."""
LISTS = {"GET /corpora", "GET /v1/models", "GET /reranker/info", "GET /docs", "GET /health", "GET /ready"}
"""They answer, and name nothing that is another's."""


def calls_of(name: str, ids: Mapping[str, str], own: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every call of a route that names what has these ids: method, path, and the rest for httpx."""
    method, path = name.split()
    kind = "evaluation_id" if "evaluations" in path else "run_id"
    filled_in = {**ids, "own": own[kind], "other": ids[kind]}
    for sent in CALLS.get(name, [{}]):
        text = json.dumps(sent)
        for field, value in filled_in.items():
            text = text.replace(f"{{{field}}}", value)
            path = path.replace(f"{{{field}}}", value).replace(f"{{{field}:path}}", value)
        yield method, path, json.loads(text)


@pytest.mark.parametrize("name", [name for name in ROUTES if name not in LISTS])
def test_no_route_gives_what_is_anothers(
    name: str, ids: dict[str, dict[str, str]], client: httpx.Client, tribrid: Tribrid
) -> None:
    """Nor does it tell whether there is such a thing: an id that nobody has is refused in the same words."""
    before = state(tribrid)
    nobodys = dict.fromkeys(ids["theirs"], UNKNOWN)
    unknown = calls_of(name, nobodys, ids["mine"])
    for (method, path, sent), (_, vain, wrong) in zip(calls_of(name, ids["theirs"], ids["mine"]), unknown, strict=True):
        response = client.request(method, path, **sent)
        assert response.status_code in ((403,) if name in OF_ALL else (400, 403, 404)), (
            f"{name} {sent}: {response.text}"
        )
        other = client.request(method, vain, **wrong)
        said = [told(found, these) for found, these in ((response, ids["theirs"]), (other, nobodys))]
        assert said[0] == said[1], f"{name} {sent}"
        assert not [secret for secret in SECRETS if secret in said[0]], f"{name}: {said[0]}"
    assert state(tribrid) == before


def told(response: httpx.Response, ids: Mapping[str, str]) -> str:
    """Status and problem of a refusal, without the ids that the request named itself."""
    body = {field: value for field, value in response.json().items() if field not in ("request_id", "instance", "id")}
    text = f"{response.status_code} {json.dumps(body)}"
    for value in sorted(set(ids.values()), key=len, reverse=True):
        text = text.replace(value, "…")
    return text


def state(tribrid: Tribrid) -> str:
    """All that the calls above could change."""
    corpus, store = tribrid.corpus("theirs"), tribrid.store
    documents, triplets = corpus.documents.get("secret-5ec2e7.md"), corpus.triplets().triplets
    there = [row.corpus_id for row in store.corpora.list()]
    jobs = [(job.job_id, job.state) for job in store.jobs.list("theirs", JobKind.TRAIN)]
    return repr((corpus.describe(), documents, corpus.logs.stats(), triplets, corpus.judgments.get(), there, jobs))


@pytest.mark.parametrize("name", sorted(LISTS))
def test_no_list_names_what_is_anothers(name: str, client: httpx.Client) -> None:
    path = name.removeprefix("GET ")
    response = client.get(path)
    assert response.status_code == 200 or path == "/ready"
    assert not [secret for secret in SECRETS if secret in response.text]
    if path in ("/corpora", "/v1/models"):
        assert '"mine"' in response.text


def test_a_bound_key_hears_of_the_troubles_of_its_own_corpora(tribrid: Tribrid, client: httpx.Client) -> None:
    """Here neither corpus has an index: documents of both were stored, searches logged, and nothing was indexed."""
    troubles = {trouble.corpus_id for trouble in tribrid.condition().troubles}
    assert troubles == {"mine", "theirs"}
    until(lambda: "being loaded" not in client.get("/ready").text)
    heard = client.get("/ready").json()
    assert {trouble["corpus_id"] for trouble in heard["troubles"]} == {"mine"}


CHANGES = ("mine", "train", "evaluate", "erase", "delete")
"""What the other calls could not stand beside them."""
OWN = [name for name in ROUTES if name not in LISTS | OF_ALL and not name.endswith(CHANGES)]


@pytest.mark.parametrize("name", [name for name in OWN if not name.startswith("DELETE")])
def test_what_is_its_own_is_given(name: str, ids: dict[str, dict[str, str]], client: httpx.Client) -> None:
    for method, path, sent in calls_of(name, ids["mine"], ids["mine"]):
        response = client.request(method, path, **sent)
        assert response.status_code not in (401, 403, 404), f"{name} {sent}: {response.text}"


def test_a_call_that_names_no_corpus_is_the_one_corpus_that_the_key_is_for(client: httpx.Client) -> None:
    answer = ok(client.post("/v1/rerank", json={"query": "x", "documents": _DOCUMENTS}))
    assert answer["corpus_id"] == "mine"
    refused(client.get("/reranker/status"), 403, "forbidden")


def test_an_evaluation_of_several_corpora_is_only_for_who_may_see_all(tribrid: Tribrid, ids: object) -> None:
    part = {"corpus_id": "theirs", "primary_measure": "ndcg@10"}
    job = tribrid.store.jobs.create(JobKind.EVALUATE, "mine", {"corpus_ids": [part["corpus_id"]]})
    seen = tribrid.bound_to({"mine"})
    with pytest.raises(JobNotFound):
        seen.jobs.get(job.job_id)
    assert tribrid.bound_to({"mine", "theirs"}).jobs.get(job.job_id).corpus_id == "mine"
    with pytest.raises(Forbidden, match="mine and for no other"):
        seen.corpus("theirs")


def test_a_key_is_bound_to_what_there_is(tribrid: Tribrid, ids: object) -> None:
    with pytest.raises(CorpusNotFound):
        tribrid.keys.create("", ["search"], ["none"])
    with pytest.raises(InvalidInput):
        tribrid.keys.create("", ["search"], [])
    assert tribrid.keys.create("", ["search"], ["mine", "mine"]).corpora == ("mine",)
    assert tribrid.keys.create("", ["search"]).corpora is None


def test_every_call_here_is_of_a_route() -> None:
    assert CALLS.keys() | LISTS <= ROUTES.keys()
