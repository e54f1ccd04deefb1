"""index: bring a corpus's index in line with its stored documents."""

from __future__ import annotations

from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.types import (
    Emit,
)
from tribrid.workspace.corpus import OpenCorpus


def index(corpus: OpenCorpus, emit: Emit, *, purge: bool = False, anew: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
        anew: make all of it again, whatever became of what there is.
    """
    return sync_index(
        fetch=lambda ids: corpus.store.documents.get_many(corpus.corpus_id, ids),
        hashes=lambda: corpus.store.documents.hashes(corpus.corpus_id),
        index=corpus.index,
        embedder=corpus.embedder,
        config=corpus.config.indexing,
        emit=emit,
        purge=purge,
        anew=anew,
    )


def catch_up(corpus: OpenCorpus, emit: Emit) -> None:
    """Index what was stored without being indexed: documents that came with a rerank."""
    if corpus.index.doc_hashes() != corpus.store.documents.hashes(corpus.corpus_id):
        index(corpus, emit)
