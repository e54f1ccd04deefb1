"""A document compressor: what a retriever found, in Tribrid's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document

from langchain_tribrid.connected import Connected
from tribrid_client import RerankAnswer, TribridError, kept_of_rerank


class TribridRerank(Connected, BaseDocumentCompressor):
    """Puts documents in order, and remembers what it showed, so that `feedback` is learned from."""

    corpus_id: str | None = None
    """Whose reranker it is, and where it is logged; None: the server's default."""
    model: str | None = None
    """A model version or a local model, in place of the corpus's own."""
    top_n: int | None = None
    """Documents that are kept; None: all."""
    client_id: str | None = None
    """Tells this user's searches from others'."""
    on_error: Literal["raise", "keep_order"] = "raise"
    """What becomes of a failure; keep_order: the documents as they came, cut to `top_n`."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents in order, best first.

        Raises:
            TribridError: unless on_error is keep_order.
        """
        if not documents:
            return []
        try:
            with self._client() as client:
                return self._ordered(documents, client.rerank(query, _sent(documents), **self._how()))
        except TribridError:
            if self.on_error == "raise":
                raise
            return list(documents)[: self.top_n]

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The same, to be awaited."""
        if not documents:
            return []
        try:
            async with self._aclient() as client:
                return self._ordered(documents, await client.rerank(query, _sent(documents), **self._how()))
        except TribridError:
            if self.on_error == "raise":
                raise
            return list(documents)[: self.top_n]

    def _how(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("corpus_id", "model", "top_n", "client_id")}

    @staticmethod
    def _ordered(documents: Sequence[Document], answer: RerankAnswer) -> list[Document]:
        found = []
        for row in answer.results:
            document = documents[row.index]
            told = {**kept_of_rerank(answer, row), "relevance_score": row.relevance_score}
            found.append(document.model_copy(update={"metadata": {**document.metadata, **told}}))
        return found


def _sent(documents: Sequence[Document]) -> list[dict[str, Any]]:
    return [_document(document) for document in documents]


def _document(document: Document) -> dict[str, Any]:
    """Its text, its id if it has one, and its title: what the server reads."""
    told = document.metadata
    named = next((str(of) for of in (document.id, told.get("doc_id"), told.get("id")) if of is not None), None)
    sent = {"text": document.page_content, "id": named, "title": told.get("title")}
    return {name: value for name, value in sent.items() if isinstance(value, str)}
