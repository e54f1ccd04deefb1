"""What a document's metadata keeps of the answer that it came with, so that feedback needs the document alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from tribrid_client.models import RerankAnswer, RerankRow, SearchAnswer, SearchResult

QUERY_ID, INDEX, DOC_ID = "tribrid_query_id", "tribrid_index", "tribrid_doc_id"
MODEL, FALLBACK = "tribrid_model", "tribrid_fallback"
KEYS = (QUERY_ID, INDEX, DOC_ID, MODEL, FALLBACK)


class Feedback(TypedDict, total=False):
    """What `feedback` is called with."""

    query_id: str
    doc_id: str | None
    index: int | None


def kept_of_rerank(answer: RerankAnswer, row: RerankRow) -> dict[str, Any]:
    """Of a reranked document: the query's id, its place in the call, who answered, and why nobody reranked."""
    return {QUERY_ID: answer.id, INDEX: row.index, MODEL: answer.model_id, FALLBACK: answer.fallback_code}


def kept_of_search(answer: SearchAnswer, result: SearchResult) -> dict[str, Any]:
    """Of a found document: the query's id and its own, who answered, and why nobody reranked."""
    kept = {QUERY_ID: answer.query_id, DOC_ID: result.doc_id, MODEL: answer.model_id}
    return {**kept, FALLBACK: answer.fallback_code}


def feedback_of(metadata: Mapping[str, Any]) -> Feedback:
    """The call of `feedback` that is about this document.

    Raises:
        ValueError: the document did not come from Tribrid.
    """
    query_id = metadata.get(QUERY_ID)
    if not query_id:
        raise ValueError(f"The document's metadata has no {QUERY_ID}: it did not come from Tribrid.")
    doc_id, index = metadata.get(DOC_ID), metadata.get(INDEX)
    # Frameworks store metadata and give numbers back as they like.
    return {"query_id": str(query_id), "doc_id": doc_id, "index": None if index is None else int(index)}
