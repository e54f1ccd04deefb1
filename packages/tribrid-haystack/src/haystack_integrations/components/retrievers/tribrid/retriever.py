"""A retriever: the documents of a corpus."""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret

from tribrid_client import (
    AsyncTribridClient,
    FeedbackAnswer,
    SearchAnswer,
    TribridClient,
    feedback_of,
    kept_of_search,
)


@component
class TribridRetriever:
    """Searches a corpus, and remembers what it showed, so that `feedback` is learned from."""

    def __init__(
        self,
        corpus_id: str,
        base_url: str = "http://127.0.0.1:8000",
        api_key: Secret | None = Secret.from_env_var("TRIBRID_API_KEY", strict=False),  # noqa: B008 - as Haystack's own
        *,
        top_k: int = 10,
        client_id: str | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """Opens nothing yet.

        Args:
            corpus_id: what is searched.
            base_url: address of the server.
            api_key: its key; default: the variable TRIBRID_API_KEY.
            top_k: documents at most.
            client_id: tells this user's searches from others'.
            timeout_s: longest silence of the server.
        """
        self.corpus_id, self.base_url, self.api_key = corpus_id, base_url, api_key
        self.top_k, self.client_id, self.timeout_s = top_k, client_id, timeout_s

    def to_dict(self) -> dict[str, Any]:
        """The component as a dictionary; of the key only where it is."""
        names = ("corpus_id", "base_url", "top_k", "client_id", "timeout_s")
        key = self.api_key.to_dict() if self.api_key else None
        return default_to_dict(self, api_key=key, **{name: getattr(self, name) for name in names})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TribridRetriever:
        """The component that `to_dict` described."""
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """The best documents, each as its best passage.

        Raises:
            TribridError.
        """
        with TribridClient(**self._told()) as client:
            found = client.search(self.corpus_id, query, top_k or self.top_k, client_id=self.client_id)
        return {"documents": _documents(found)}

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """The same, to be awaited."""
        async with AsyncTribridClient(**self._told()) as client:
            found = await client.search(self.corpus_id, query, top_k or self.top_k, client_id=self.client_id)
        return {"documents": _documents(found)}

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


def _documents(answer: SearchAnswer) -> list[Document]:
    return [
        Document(
            id=result.doc_id,
            content=result.text,
            score=result.score,
            meta={**kept_of_search(answer, result), "title": result.title, "uri": result.uri},
        )
        for result in answer.results
    ]
