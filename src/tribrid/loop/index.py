"""index: bring a corpus's index in line with its stored documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.retrieval.indexer import IndexReport, sync_index, terms_are_old
from tribrid.types import Emit, EventType
from tribrid.workspace.corpus import OpenCorpus


def index(corpus: OpenCorpus, emit: Emit, *, purge: bool = False, anew: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
        anew: make all of it again, whatever became of what there is.
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
        anew=anew,
    )


def catch_up(corpus: OpenCorpus, emit: Emit) -> None:
    """Index what was stored without being indexed (documents that came with a rerank), and bring the terms of an older
    release's index up to date.
    """
    old = terms_are_old(corpus.index, corpus.config.indexing, corpus.embedder)
    if old or corpus.index.doc_hashes() != corpus.store.documents.hashes(corpus.corpus_id):
        index(corpus, emit)
