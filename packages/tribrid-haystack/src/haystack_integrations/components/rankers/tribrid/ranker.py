"""A ranker: what a retriever found, in Tribrid's order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret

from tribrid_client import (
    AsyncTribridClient,
    FeedbackAnswer,
    RerankAnswer,
    TribridClient,
    TribridError,
    feedback_of,
    kept_of_rerank,
)


@component
class TribridRanker:
    """Puts documents in order, and remembers what it showed, so that `feedback` is learned from."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: Secret | None = Secret.from_env_var("TRIBRID_API_KEY", strict=False),  # noqa: B008 - as Haystack's own
        *,
        corpus_id: str | None = None,
        model: str | None = None,
        top_k: int | None = None,
        client_id: str | None = None,
        on_error: Literal["raise", "keep_order"] = "raise",
        timeout_s: float = 30.0,
    ) -> None:
        """Opens nothing yet.

        Args:
            base_url: address of the server.
            api_key: its key; default: the variable TRIBRID_API_KEY.
            corpus_id: whose reranker it is, and where it is logged; None: the server's default.
            model: a model version, in place of the corpus's own.
            top_k: documents that are kept; None: all.
            client_id: tells this user's searches from others'.
            on_error: what becomes of a failure; keep_order: the documents as they came, cut to `top_k`.
            timeout_s: longest silence of the server.
        """
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be 1 or more, not {top_k}.")
        self.base_url, self.api_key, self.corpus_id, self.model = base_url, api_key, corpus_id, model
        self.top_k, self.client_id, self.on_error, self.timeout_s = top_k, client_id, on_error, timeout_s

    def to_dict(self) -> dict[str, Any]:
        """The component as a dictionary; of the key only where it is."""
        names = ("base_url", "corpus_id", "model", "top_k", "client_id", "on_error", "timeout_s")
        key = self.api_key.to_dict() if self.api_key else None
        return default_to_dict(self, api_key=key, **{name: getattr(self, name) for name in names})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TribridRanker:
        """The component that `to_dict` described."""
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, list[Document]]:
        """The documents in order, best first.

        Raises:
            TribridError: unless on_error is keep_order.
        """
        if not documents:
            return {"documents": []}
        try:
            with TribridClient(**self._told()) as client:
                found = _ordered(documents, client.rerank(query, _sent(documents), **self._how(top_k)))
        except TribridError:
            if self.on_error == "raise":
                raise
            found = documents[: top_k or self.top_k]
        return {"documents": found}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same, to be awaited."""
        if not documents:
            return {"documents": []}
        try:
            async with AsyncTribridClient(**self._told()) as client:
                found = _ordered(documents, await client.rerank(query, _sent(documents), **self._how(top_k)))
        except TribridError:
            if self.on_error == "raise":
                raise
            found = documents[: top_k or self.top_k]
        return {"documents": found}

    def feedback(self, document: Document, signal: str, value: float | None = None) -> FeedbackAnswer:
        """Tell what a user did with a document: click, copy, cite, thumbs_up, thumbs_down, dwell, rating.

        Raises:
            ValueError: the document did not come from Tribrid. TribridError.
        """
        with TribridClient(**self._told()) as client:
            return client.feedback(signal=signal, value=value, **feedback_of(document.meta))

    async def feedback_async(self, document: Document, signal: str, value: float | None = None) -> FeedbackAnswer:
        """The same, to be awaited."""
        async with AsyncTribridClient(**self._told()) as client:
            return await client.feedback(signal=signal, value=value, **feedback_of(document.meta))

    def _told(self) -> dict[str, Any]:
        key = self.api_key.resolve_value() if self.api_key else None
        return {"base_url": self.base_url, "api_key": key, "timeout_s": self.timeout_s}

    def _how(self, top_k: int | None) -> dict[str, Any]:
        how = {name: getattr(self, name) for name in ("corpus_id", "model", "client_id")}
        return {**how, "top_n": top_k or self.top_k}


def _sent(documents: list[Document]) -> list[dict[str, Any]]:
    return [_document(document) for document in documents]


def _document(document: Document) -> dict[str, Any]:
    """Its text, and its id where somebody gave it one: Haystack's own is another with each embedding and each piece of
    metadata, and Tribrid knows a document without an id by its text.
    """
    sent = {"text": document.content or ""}
    return sent if document.id == replace(document, id="").id else {**sent, "id": document.id}


def _ordered(documents: list[Document], answer: RerankAnswer) -> list[Document]:
    return [
        replace(
            documents[row.index],
            score=row.relevance_score,
            meta={**documents[row.index].meta, **kept_of_rerank(answer, row)},
        )
        for row in answer.results
    ]
