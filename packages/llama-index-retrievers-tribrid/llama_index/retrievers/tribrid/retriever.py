"""A retriever: the documents of a corpus."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from tribrid_client import (
    AsyncTribridClient,
    FeedbackAnswer,
    SearchAnswer,
    SearchResult,
    TribridClient,
    feedback_of,
    kept_of_search,
)


class TribridRetriever(BaseRetriever):
    """Searches a corpus, and remembers what it showed, so that `feedback` is learned from."""

    def __init__(
        self,
        corpus_id: str,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        similarity_top_k: int = 10,
        client_id: str | None = None,
        timeout_s: float = 30.0,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            corpus_id: what is searched.
            base_url: address of the server.
            api_key: its key, if it has one.
            similarity_top_k: nodes at most, each of another document.
            client_id: tells this user's searches from others'.
            timeout_s: longest silence of the server.
            callback_manager: LlamaIndex's own.
        """
        super().__init__(callback_manager=callback_manager)
        self.corpus_id, self.similarity_top_k, self.client_id = corpus_id, similarity_top_k, client_id
        self._told: dict[str, Any] = {"base_url": base_url, "api_key": api_key, "timeout_s": timeout_s}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        with TribridClient(**self._told) as client:
            return _nodes(client.search(**self._asked(query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        async with AsyncTribridClient(**self._told) as client:
            return _nodes(await client.search(**self._asked(query_bundle)))

    def feedback(self, node: NodeWithScore, signal: str, value: float | None = None) -> FeedbackAnswer:
        """Tell what a user did with a node: click, copy, cite, thumbs_up, thumbs_down, dwell, rating.

        Raises:
            ValueError: the node did not come from Tribrid. TribridError.
        """
        with TribridClient(**self._told) as client:
            return client.feedback(signal=signal, value=value, **feedback_of(node.node.metadata))

    async def afeedback(self, node: NodeWithScore, signal: str, value: float | None = None) -> FeedbackAnswer:
        """The same, to be awaited."""
        async with AsyncTribridClient(**self._told) as client:
            return await client.feedback(signal=signal, value=value, **feedback_of(node.node.metadata))

    def _asked(self, query_bundle: QueryBundle) -> dict[str, Any]:
        asked = {"corpus_id": self.corpus_id, "query": query_bundle.query_str, "top_k": self.similarity_top_k}
        return {**asked, "client_id": self.client_id}


def _nodes(answer: SearchAnswer) -> list[NodeWithScore]:
    return [NodeWithScore(node=_node(answer, result), score=result.score) for result in answer.results]


def _node(answer: SearchAnswer, result: SearchResult) -> TextNode:
    """A document as its best passage. What feedback needs is kept out of sight of models."""
    kept = kept_of_search(answer, result)
    return TextNode(
        id_=result.doc_id,
        text=result.text,
        metadata={**kept, "title": result.title, "uri": result.uri},
        excluded_llm_metadata_keys=list(kept),
        excluded_embed_metadata_keys=list(kept),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=result.doc_id)},
    )
