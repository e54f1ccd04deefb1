"""index: bring a corpus's index in line with its stored documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.corpus.mentions import mentions_of
from tribrid.errors import StaleIndex
from tribrid.retrieval.indexer import IndexReport, Stored, sync_index, terms_are_old
from tribrid.scoring.features import CorpusStatistics
from tribrid.types import Emit, EventType
from tribrid.workspace.corpus import OpenCorpus
from tribrid.workspace.embedding import spread

_READ_AT_ONCE = 100
"""Documents."""


def index(corpus: OpenCorpus, emit: Emit, *, purge: bool = False, anew: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
        anew: make all of it again, whatever became of what there is.
    """

    def told(kind: EventType, data: Mapping[str, Any]) -> None:
        emit(kind, {"stage": "embedding", "unit": "passages", **data})

    _read_mentions(corpus)
    return sync_index(
        Stored(
            fetch=lambda ids: corpus.store.documents.get_many(corpus.corpus_id, ids),
            hashes=lambda: corpus.store.documents.hashes(corpus.corpus_id),
        ),
        index=corpus.index,
        embedder=spread(corpus.embedder, corpus.config.indexing.embedding_model, corpus.folder.shards()),
        config=corpus.config.indexing,
        emit=told,
        count=corpus.counted,
        purge=purge,
        anew=anew,
    )


def _read_mentions(corpus: OpenCorpus) -> None:
    """Read what the documents name of each other, of those whose text was not read before."""
    store, unread = corpus.store, corpus.store.mentions.unread(corpus.corpus_id)
    for start in range(0, len(unread), _READ_AT_ONCE):
        found = store.documents.get_many(corpus.corpus_id, unread[start : start + _READ_AT_ONCE]).values()
        store.mentions.put(corpus.corpus_id, [(document, mentions_of(document)) for document in found])


def catch_up(corpus: OpenCorpus, emit: Emit) -> None:
    """Index what was stored without being indexed (documents that came with a rerank), and bring an older release's
    index up to date: its terms, what is counted over its passages, and what its documents name of each other.
    """
    _read_mentions(corpus)
    old = terms_are_old(corpus.index, corpus.config.indexing, corpus.embedder)
    uncounted = corpus.index.fingerprint is not None and not corpus.index.has_statistics
    if old or uncounted or corpus.index.doc_hashes() != corpus.store.documents.hashes(corpus.corpus_id):
        index(corpus, emit)


def statistics(corpus: OpenCorpus, emit: Emit) -> CorpusStatistics:
    """What is counted over the corpus's passages. An older release's index is brought up to date for it.

    Raises:
        StaleIndex: the index cannot be read, or went with its corpus.
    """
    found = corpus.index.statistics()
    if found is None:
        index(corpus, emit)
        found = corpus.index.statistics()
    if found is None:
        raise StaleIndex(f"The index of {corpus.corpus_id!r} is gone.", corpus_id=corpus.corpus_id)
    return found
