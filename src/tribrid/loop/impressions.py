"""Writing down what was shown, where the database takes it: a search that cannot be logged is answered all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from tribrid.errors import Unavailable
from tribrid.observing import note
from tribrid.types import Document, Impression
from tribrid.workspace.corpus import OpenCorpus

_log = logging.getLogger(__name__)
T = TypeVar("T")


def logged(corpus: OpenCorpus, impression: Impression) -> bool:
    """Whether the impression is stored now. Where it is not, the data folder knows why."""
    return _taken(corpus, lambda: corpus.store.logs.add_impression(impression)) is not None


def shown(corpus: OpenCorpus, impression: Impression) -> tuple[bool, Mapping[str, Document]]:
    """As `logged`, and those of the documents it shows that exist, by doc_id."""
    found = _taken(corpus, lambda: corpus.store.logs.add_shown(impression))
    if found is None:
        return False, corpus.store.documents.get_many(corpus.corpus_id, [doc.doc_id for doc in impression.shown])
    return True, found


def _taken(corpus: OpenCorpus, write: Callable[[], T]) -> T | None:
    unlogged = corpus.folder.unlogged
    try:
        done = write()
    except Unavailable as error:
        if unlogged.why is None:
            _log.warning("Searches are answered and not logged: %s", error.detail)
        unlogged.set(error.detail)
        note("unlogged", error.code)
        return None
    unlogged.set(None)
    return done
