"""A typed client of Tribrid's HTTP API, sync and async."""

from tribrid_client.client import AsyncTribridClient, TribridClient
from tribrid_client.errors import TribridError, Unreachable
from tribrid_client.kept import feedback_of, kept_of_rerank, kept_of_search
from tribrid_client.models import (
    Corpus,
    FeedbackAnswer,
    IndexedDocuments,
    RerankAnswer,
    RerankRow,
    SearchAnswer,
    SearchResult,
    StoredEvalDataset,
    StoredJudgments,
)

__all__ = [
    "AsyncTribridClient",
    "Corpus",
    "FeedbackAnswer",
    "IndexedDocuments",
    "RerankAnswer",
    "RerankRow",
    "SearchAnswer",
    "SearchResult",
    "StoredEvalDataset",
    "StoredJudgments",
    "TribridClient",
    "TribridError",
    "Unreachable",
    "feedback_of",
    "kept_of_rerank",
    "kept_of_search",
]
