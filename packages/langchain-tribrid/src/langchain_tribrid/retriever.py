"""A retriever: the documents of a corpus."""

from __future__ import annotations

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from langchain_tribrid.connected import Connected
from tribrid_client import SearchAnswer, kept_of_search


class TribridRetriever(Connected, BaseRetriever):
    """Searches a corpus, and remembers what it showed, so that `feedback` is learned from."""

    corpus_id: str
    """What is searched."""
    k: int = 10
    """Documents at most."""
    client_id: str | None = None
    """Tells this user's searches from others'."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        with self._client() as client:
            return _documents(client.search(self.corpus_id, query, k or self.k, client_id=self.client_id))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        async with self._aclient() as client:
            return _documents(await client.search(self.corpus_id, query, k or self.k, client_id=self.client_id))


def _documents(answer: SearchAnswer) -> list[Document]:
    """Each as its best passage."""
    return [
        Document(
            id=result.doc_id,
            page_content=result.text,
            metadata={
                **kept_of_search(answer, result),
                "doc_id": result.doc_id,
                "title": result.title,
                "source": result.uri or result.doc_id,
                "relevance_score": result.score,
            },
        )
        for result in answer.results
    ]
