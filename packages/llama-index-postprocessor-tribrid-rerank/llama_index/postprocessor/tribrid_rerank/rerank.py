"""A node postprocessor: what a retriever found, in Tribrid's order."""

from __future__ import annotations

from typing import Any, Literal

from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from tribrid_client import (
    AsyncTribridClient,
    FeedbackAnswer,
    RerankAnswer,
    TribridClient,
    TribridError,
    feedback_of,
    kept_of_rerank,
)

dispatcher = get_dispatcher(__name__)


class TribridRerank(BaseNodePostprocessor):
    """Puts nodes in order, and remembers what it showed, so that `feedback` is learned from."""

    base_url: str = Field(default="http://127.0.0.1:8000", description="Address of the server.")
    api_key: str | None = Field(default=None, exclude=True, repr=False, description="Its key, if it has one.")
    corpus_id: str | None = Field(default=None, description="Whose reranker it is, and where it is logged.")
    model: str | None = Field(default=None, description="A model version, in place of the corpus's own.")
    top_n: int = Field(default=10, ge=1, description="Nodes that are kept.")
    client_id: str | None = Field(default=None, description="Tells this user's searches from others'.")
    keep_retrieval_score: bool = Field(default=False, description="Keep the score before in the metadata.")
    on_error: Literal["raise", "keep_order"] = Field(default="raise", description="What becomes of a failure.")
    timeout_s: float = Field(default=30.0, description="Longest silence of the server.")

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex stores it."""
        return "TribridRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = self._begin(nodes, query_bundle)
        if not nodes:
            return []
        try:
            with TribridClient(**self._told()) as client:
                found = self._ordered(nodes, client.rerank(query, _sent(nodes), **self._how()))
        except TribridError:
            if self.on_error == "raise":
                raise
            found = nodes[: self.top_n]
        dispatcher.event(ReRankEndEvent(nodes=found))
        return found

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        query = self._begin(nodes, query_bundle)
        if not nodes:
            return []
        try:
            async with AsyncTribridClient(**self._told()) as client:
                found = self._ordered(nodes, await client.rerank(query, _sent(nodes), **self._how()))
        except TribridError:
            if self.on_error == "raise":
                raise
            found = nodes[: self.top_n]
        dispatcher.event(ReRankEndEvent(nodes=found))
        return found

    def feedback(self, node: NodeWithScore, signal: str, value: float | None = None) -> FeedbackAnswer:
        """Tell what a user did with a node: click, copy, cite, thumbs_up, thumbs_down, dwell, rating.

        Raises:
            ValueError: the node did not come from Tribrid. TribridError.
        """
        with TribridClient(**self._told()) as client:
            return client.feedback(signal=signal, value=value, **feedback_of(node.node.metadata))

    async def afeedback(self, node: NodeWithScore, signal: str, value: float | None = None) -> FeedbackAnswer:
        """The same, to be awaited."""
        async with AsyncTribridClient(**self._told()) as client:
            return await client.feedback(signal=signal, value=value, **feedback_of(node.node.metadata))

    def _begin(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None) -> str:
        if query_bundle is None:
            raise ValueError("TribridRerank needs the query: postprocess_nodes(nodes, query_str=...).")
        name = self.model or self.corpus_id or "tribrid"
        dispatcher.event(ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=self.top_n, model_name=name))
        return query_bundle.query_str

    def _told(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "api_key": self.api_key, "timeout_s": self.timeout_s}

    def _how(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("corpus_id", "model", "top_n", "client_id")}

    def _ordered(self, nodes: list[NodeWithScore], answer: RerankAnswer) -> list[NodeWithScore]:
        found = []
        for row in answer.results:
            told = kept_of_rerank(answer, row)
            if self.keep_retrieval_score:
                told["retrieval_score"] = nodes[row.index].score
            found.append(NodeWithScore(node=_with(nodes[row.index].node, told), score=row.relevance_score))
        return found


def _sent(nodes: list[NodeWithScore]) -> list[dict[str, Any]]:
    texts = [node.node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]
    return [{"id": node.node.node_id, "text": text} for node, text in zip(nodes, texts, strict=True)]


def _with(node: BaseNode, told: dict[str, Any]) -> BaseNode:
    """A copy of the node that keeps this, out of sight of models."""
    copy = node.model_copy(deep=True)
    copy.metadata.update(told)
    for hidden in (copy.excluded_llm_metadata_keys, copy.excluded_embed_metadata_keys):
        hidden.extend(key for key in told if key not in hidden)
    return copy
