"""Writing down what was shown, where the database takes it: a search that cannot be logged is answered all the same."""

from __future__ import annotations

import logging

from tribrid.errors import Unavailable
from tribrid.observing import note
from tribrid.types import Impression
from tribrid.workspace.corpus import OpenCorpus

_log = logging.getLogger(__name__)


def logged(corpus: OpenCorpus, impression: Impression) -> bool:
    """Whether the impression is stored now. Where it is not, the data folder knows why."""
    unlogged = corpus.folder.unlogged
    try:
        corpus.store.logs.add_impression(impression)
    except Unavailable as error:
        if unlogged.why is None:
            _log.warning("Searches are answered and not logged: %s", error.detail)
        unlogged.set(error.detail)
        note("unlogged", error.code)
        return False
    unlogged.set(None)
    return True
