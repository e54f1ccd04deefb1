"""index: bring a corpus's index in line with its stored documents."""

from __future__ import annotations

from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.types import (
    Emit,
)
from tribrid.workspace import Workspace


def index(ws: Workspace, corpus_id: str, emit: Emit, *, purge: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
    """
    config = ws.config(corpus_id)
    return sync_index(
        fetch=lambda ids: ws.store.documents.get_many(corpus_id, ids),
        hashes=lambda: ws.store.documents.hashes(corpus_id),
        index=ws.index(corpus_id),
        embedder=ws.embedder(config),
        config=config.indexing,
        emit=emit,
        purge=purge,
    )


def catch_up(ws: Workspace, corpus_id: str, emit: Emit) -> None:
    """Index what was stored without being indexed: documents that came with a rerank."""
    if ws.index(corpus_id).doc_hashes() != ws.store.documents.hashes(corpus_id):
        index(ws, corpus_id, emit)
