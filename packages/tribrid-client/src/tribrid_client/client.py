"""The two clients. They do the same; one waits, the other is awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import httpx
from pydantic import BaseModel

from tribrid_client import calls
from tribrid_client.calls import Call, Document
from tribrid_client.errors import Unreachable
from tribrid_client.models import (
    Corpus,
    FeedbackAnswer,
    IndexedDocuments,
    RerankAnswer,
    SearchAnswer,
    StoredEvalDataset,
    StoredJudgments,
)

BASE_URL, TIMEOUT_S = "http://127.0.0.1:8000", 30.0
A = TypeVar("A", bound=BaseModel)


class SearchHow(TypedDict, total=False):
    """What a search may say.

    Attributes:
        filter: what alone is searched, by documents' metadata, such as {"lang": "de", "year": {"$gte": 2020}}.
        offset: results to leave out at the start.
        facets: fields of the metadata, to count documents by their values.
        per: `doc` or `passage`: the best passages, several of one document.
        client_id: tells this user's searches from others'.
    """

    filter: Mapping[str, Any] | None
    offset: int
    facets: Sequence[str]
    per: Literal["doc", "passage"]
    client_id: str | None


class How(TypedDict, total=False):
    """What a rerank may say.

    Attributes:
        corpus_id: whose reranker it is, and where it is logged.
        model: a corpus, a model version or a local model; without both the server's default.
        top_n: documents that are answered.
        client_id: tells this user's searches from others'.
        return_documents: the documents too.
    """

    corpus_id: str | None
    model: str | None
    top_n: int | None
    client_id: str | None
    return_documents: bool


def _address(base_url: str) -> httpx.URL:
    found = httpx.URL(base_url)
    if found.query or found.fragment:
        raise ValueError(f"base_url is a server's address, without a query: {base_url!r}.")
    return found


def _headers(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


class TribridClient:
    """Safe for threads; close it, or use it in a `with`."""

    def __init__(self, base_url: str = BASE_URL, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Opens nothing yet.

        Args:
            timeout_s: longest silence of the server; long work sends a byte a second.

        Raises:
            ValueError: base_url has a query, behind which httpx would put every path.
        """
        self._http = httpx.Client(base_url=_address(base_url), headers=_headers(api_key), timeout=timeout_s)

    def search(self, corpus_id: str, query: str, top_k: int = 10, **how: Unpack[SearchHow]) -> SearchAnswer:
        """Rank a corpus's documents for a query. The answer's `query_id` takes feedback."""
        return self._send(calls.search(corpus_id, query, top_k, how))

    def rerank(self, query: str, documents: Sequence[Document], **how: Unpack[How]) -> RerankAnswer:
        """Put documents in order that were found elsewhere: texts, or objects with `text`, perhaps `id` and `title`."""
        return self._send(calls.rerank(query, documents, how))

    def feedback(
        self,
        query_id: str,
        signal: str,
        *,
        doc_id: str | None = None,
        index: int | None = None,
        value: float | None = None,
    ) -> FeedbackAnswer:
        """Tell what a user did with a result: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating
        (value: 1 to 5).

        Args:
            query_id: of a search, or the `id` of a rerank.
            index: of a rerank, the document's place in the call, in place of its id.
        """
        return self._send(calls.feedback(query_id, signal, doc_id, index, value))

    def corpora(self) -> tuple[Corpus, ...]:
        """Every corpus, by id."""
        return (self._send(calls.corpora())).corpora

    def create_corpus(self, corpus_id: str, name: str = "") -> Corpus:
        """Make an empty corpus."""
        return self._send(calls.create_corpus(corpus_id, name))

    def add_documents(self, corpus_id: str, documents: Iterable[Mapping[str, Any]]) -> IndexedDocuments:
        """Put documents in, or change them: objects with `doc_id`, `text`, and perhaps `title`, `uri`, `metadata`."""
        return self._send(calls.add_documents(corpus_id, documents))

    def put_judgments(
        self, corpus_id: str, queries: Sequence[Mapping[str, Any]], *, replace: bool = False
    ) -> StoredJudgments:
        """Keep judgments to train from: objects with `query_id`, `text`, and `judgments`, a grade for each doc_id."""
        return self._send(calls.put_judgments(corpus_id, queries, replace))

    def put_eval_dataset(self, corpus_id: str, queries: Sequence[Mapping[str, Any]]) -> StoredEvalDataset:
        """Fix the judged queries that before and after are measured on; the same form as judgments."""
        return self._send(calls.put_eval_dataset(corpus_id, queries))

    def mine(self, corpus_id: str, **params: Any) -> dict[str, Any]:
        """Mine triplets, and wait. `params` are the fields of POST /reranker/mine."""
        found: dict[str, Any] = self.call("POST", "/reranker/mine", json={"corpus_id": corpus_id, **params})
        return found

    def train(self, corpus_id: str, **hyperparameters: Any) -> dict[str, Any]:
        """Train a reranker, and wait: minutes. `hyperparameters` are the fields of POST /reranker/train."""
        found: dict[str, Any] = self.call("POST", "/reranker/train", json={"corpus_id": corpus_id, **hyperparameters})
        return found

    def evaluate(self, corpus_id: str, **params: Any) -> dict[str, Any]:
        """Measure before and after, and wait; the report. `params` are the fields of POST /reranker/evaluate."""
        found: dict[str, Any] = self.call("POST", "/reranker/evaluate", json={"corpus_id": corpus_id, **params})
        return found

    def call(self, method: str, path: str, **sent: Any) -> Any:
        """Any other route: its JSON. `sent` goes to httpx, as json=; `params` come beside those of the path.

        Raises:
            TribridError, Unreachable.
        """
        url = calls.addressed(path, sent.pop("params", None) or {})
        return calls.read(self._request({"method": method, "url": url, **sent}))

    def _send(self, call: Call[A]) -> A:
        return calls.parsed(call, self._request(call.sent()))

    def _request(self, sent: Mapping[str, Any]) -> httpx.Response:
        try:
            return self._http.request(**sent)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self._http.base_url} did not answer: {type(error).__name__} {error}".strip()
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> TribridClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTribridClient:
    """Safe for tasks of one event loop; close it, or use it in an `async with`."""

    def __init__(self, base_url: str = BASE_URL, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Opens nothing yet.

        Args:
            timeout_s: longest silence of the server; long work sends a byte a second.

        Raises:
            ValueError: base_url has a query, behind which httpx would put every path.
        """
        self._http = httpx.AsyncClient(base_url=_address(base_url), headers=_headers(api_key), timeout=timeout_s)

    async def search(self, corpus_id: str, query: str, top_k: int = 10, **how: Unpack[SearchHow]) -> SearchAnswer:
        """Rank a corpus's documents for a query. The answer's `query_id` takes feedback."""
        return await self._send(calls.search(corpus_id, query, top_k, how))

    async def rerank(self, query: str, documents: Sequence[Document], **how: Unpack[How]) -> RerankAnswer:
        """Put documents in order that were found elsewhere: texts, or objects with `text`, perhaps `id` and `title`."""
        return await self._send(calls.rerank(query, documents, how))

    async def feedback(
        self,
        query_id: str,
        signal: str,
        *,
        doc_id: str | None = None,
        index: int | None = None,
        value: float | None = None,
    ) -> FeedbackAnswer:
        """Tell what a user did with a result: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating
        (value: 1 to 5).

        Args:
            query_id: of a search, or the `id` of a rerank.
            index: of a rerank, the document's place in the call, in place of its id.
        """
        return await self._send(calls.feedback(query_id, signal, doc_id, index, value))

    async def corpora(self) -> tuple[Corpus, ...]:
        """Every corpus, by id."""
        return (await self._send(calls.corpora())).corpora

    async def create_corpus(self, corpus_id: str, name: str = "") -> Corpus:
        """Make an empty corpus."""
        return await self._send(calls.create_corpus(corpus_id, name))

    async def add_documents(self, corpus_id: str, documents: Iterable[Mapping[str, Any]]) -> IndexedDocuments:
        """Put documents in, or change them: objects with `doc_id`, `text`, and perhaps `title`, `uri`, `metadata`."""
        return await self._send(calls.add_documents(corpus_id, documents))

    async def put_judgments(
        self, corpus_id: str, queries: Sequence[Mapping[str, Any]], *, replace: bool = False
    ) -> StoredJudgments:
        """Keep judgments to train from: objects with `query_id`, `text`, and `judgments`, a grade for each doc_id."""
        return await self._send(calls.put_judgments(corpus_id, queries, replace))

    async def put_eval_dataset(self, corpus_id: str, queries: Sequence[Mapping[str, Any]]) -> StoredEvalDataset:
        """Fix the judged queries that before and after are measured on; the same form as judgments."""
        return await self._send(calls.put_eval_dataset(corpus_id, queries))

    async def mine(self, corpus_id: str, **params: Any) -> dict[str, Any]:
        """Mine triplets, and wait. `params` are the fields of POST /reranker/mine."""
        found: dict[str, Any] = await self.call("POST", "/reranker/mine", json={"corpus_id": corpus_id, **params})
        return found

    async def train(self, corpus_id: str, **hyperparameters: Any) -> dict[str, Any]:
        """Train a reranker, and wait: minutes. `hyperparameters` are the fields of POST /reranker/train."""
        found: dict[str, Any] = await self.call(
            "POST", "/reranker/train", json={"corpus_id": corpus_id, **hyperparameters}
        )
        return found

    async def evaluate(self, corpus_id: str, **params: Any) -> dict[str, Any]:
        """Measure before and after, and wait; the report. `params` are the fields of POST /reranker/evaluate."""
        found: dict[str, Any] = await self.call("POST", "/reranker/evaluate", json={"corpus_id": corpus_id, **params})
        return found

    async def call(self, method: str, path: str, **sent: Any) -> Any:
        """Any other route: its JSON. `sent` goes to httpx, as json=; `params` come beside those of the path.

        Raises:
            TribridError, Unreachable.
        """
        url = calls.addressed(path, sent.pop("params", None) or {})
        return calls.read(await self._request({"method": method, "url": url, **sent}))

    async def _send(self, call: Call[A]) -> A:
        return calls.parsed(call, await self._request(call.sent()))

    async def _request(self, sent: Mapping[str, Any]) -> httpx.Response:
        try:
            return await self._http.request(**sent)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self._http.base_url} did not answer: {type(error).__name__} {error}".strip()
            ) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncTribridClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
