"""index: bring a corpus's index in line with its stored documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.types import Emit, EventType
from tribrid.workspace.corpus import OpenCorpus


def index(corpus: OpenCorpus, emit: Emit, *, purge: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
    """

    def told(kind: EventType, data: Mapping[str, Any]) -> None:
        emit(kind, {"stage": "embedding", "unit": "passages", **data})

    return sync_index(
        fetch=lambda ids: corpus.store.documents.get_many(corpus.corpus_id, ids),
        hashes=lambda: corpus.store.documents.hashes(corpus.corpus_id),
        index=corpus.index,
        embedder=corpus.embedder,
        config=corpus.config.indexing,
        emit=told,
        purge=purge,
    )


def catch_up(corpus: OpenCorpus, emit: Emit) -> None:
    """Index what was stored without being indexed: documents that came with a rerank."""
    if corpus.index.doc_hashes() != corpus.store.documents.hashes(corpus.corpus_id):
        index(corpus, emit)
