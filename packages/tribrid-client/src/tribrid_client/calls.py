"""Each method as what is sent and how the answer is read: the same for the sync and the async client."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from tribrid_client.errors import TribridError, Unreachable
from tribrid_client.models import (
    Corpus,
    CorpusList,
    FeedbackAnswer,
    IndexedDocuments,
    RerankAnswer,
    SearchAnswer,
    StoredEvalDataset,
    StoredJudgments,
)

A = TypeVar("A", bound=BaseModel)
Document = str | Mapping[str, Any]
NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Call(Generic[A]):
    """What is sent; `answer` is what comes."""

    method: str
    path: str
    answer: type[A]
    body: Mapping[str, Any] | None = None
    content: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def sent(self) -> dict[str, Any]:
        """What httpx is to be called with."""
        told: dict[str, Any] = {"method": self.method, "url": addressed(self.path, self.params)}
        if self.content is not None:
            return {**told, "content": self.content.encode(), "headers": {"Content-Type": NDJSON}}
        return told if self.body is None else {**told, "json": dict(self.body)}


def addressed(path: str, params: Mapping[str, Any]) -> httpx.URL:
    """The path with its own query and these parameters: given both, httpx keeps the parameters alone."""
    return httpx.URL(path).copy_merge_params(dict(params))


def search(corpus_id: str, query: str, top_k: int, how: Mapping[str, Any]) -> Call[SearchAnswer]:
    """POST /search."""
    body = {"corpus_id": corpus_id, "query": query, "top_k": top_k, **how}
    return Call("POST", "/search", SearchAnswer, _given(body))


def rerank(query: str, documents: Sequence[Document], how: Mapping[str, Any]) -> Call[RerankAnswer]:
    """POST /rerank."""
    body = {"query": query, "documents": [d if isinstance(d, str) else dict(d) for d in documents], **how}
    return Call("POST", "/rerank", RerankAnswer, _given(body))


def feedback(
    query_id: str, signal: str, doc_id: str | None, index: int | None, value: float | None
) -> Call[FeedbackAnswer]:
    """POST /feedback."""
    # An index says which text it was, where several came under one id.
    body = {"query_id": query_id, "signal": signal, "index": index, "value": value}
    return Call("POST", "/feedback", FeedbackAnswer, _given({**body, "doc_id": doc_id if index is None else None}))


def corpora() -> Call[CorpusList]:
    """GET /corpora."""
    return Call("GET", "/corpora", CorpusList)


def create_corpus(corpus_id: str, name: str) -> Call[Corpus]:
    """POST /corpora."""
    return Call("POST", "/corpora", Corpus, {"corpus_id": corpus_id, "name": name})


def add_documents(corpus_id: str, documents: Iterable[Mapping[str, Any]]) -> Call[IndexedDocuments]:
    """POST /corpora/{corpus_id}/documents."""
    lines = "\n".join(json.dumps(dict(document)) for document in documents)
    return Call("POST", f"/corpora/{quote(corpus_id, safe='')}/documents", IndexedDocuments, content=lines)


def put_judgments(corpus_id: str, queries: Sequence[Mapping[str, Any]], replace: bool) -> Call[StoredJudgments]:
    """PUT /corpora/{corpus_id}/judgments."""
    path, body = f"/corpora/{quote(corpus_id, safe='')}/judgments", {"queries": [dict(query) for query in queries]}
    return Call("PUT", path, StoredJudgments, body, params={"replace": str(replace).lower()})


def put_eval_dataset(corpus_id: str, queries: Sequence[Mapping[str, Any]]) -> Call[StoredEvalDataset]:
    """PUT /corpora/{corpus_id}/eval_dataset."""
    path, body = f"/corpora/{quote(corpus_id, safe='')}/eval_dataset", {"queries": [dict(query) for query in queries]}
    return Call("PUT", path, StoredEvalDataset, body)


def read(response: httpx.Response) -> Any:
    """The JSON of an answer.

    Raises:
        TribridError: it is a refusal, or says that the work failed after the status was sent.
        Unreachable: it is not Tribrid's.
    """
    try:
        found = response.json()
    except ValueError:
        raise Unreachable(f"{response.url} answered {response.status_code}, and no JSON.") from None
    if response.is_success and not _failed(found):
        return found
    problem = found.get("problem", found) if isinstance(found, dict) else {}
    wait = response.headers.get("Retry-After", "")
    raise TribridError(
        str(problem.get("detail", f"HTTP {response.status_code}")),
        code=str(problem.get("code", "http_error")),
        status=int(problem.get("status", response.status_code)),
        retry_after_s=float(wait) if wait.isdigit() else None,
        problem=problem,
    )


def parsed(call: Call[A], response: httpx.Response) -> A:
    """The answer of a call.

    Raises:
        TribridError, Unreachable: as `read`, or the answer is of another kind.
    """
    found = read(response)
    try:
        return call.answer.model_validate(found)
    except ValidationError as error:
        raise Unreachable(f"{response.url} does not answer as Tribrid does: {error.errors()[0]['loc']}.") from error


def _failed(found: object) -> bool:
    """Whether work that takes long ended badly: its status was sent before."""
    return (
        isinstance(found, dict) and found.get("status") in ("failed", "interrupted", "cancelled") and "problem" in found
    )


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left open."""
    return {name: value for name, value in body.items() if value is not None}
