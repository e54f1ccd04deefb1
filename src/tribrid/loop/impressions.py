"""Writing down what was shown, where the database takes it: a search that cannot be logged is answered all the same."""

from __future__ import annotations

import logging

from tribrid.errors import Unavailable
from tribrid.observing import note
from tribrid.types import Impression
from tribrid.workspace.corpus import OpenCorpus

_log = logging.getLogger(__name__)


def logged(corpus: OpenCorpus, impression: Impression) -> bool:
    """Whether the impression is stored now. Where it is not, the data folder holds why, until one is."""
    folder = corpus.folder
    try:
        corpus.store.logs.add_impression(impression)
    except Unavailable as error:
        if folder.unlogged is None:
            _log.warning("Searches are answered and not logged: %s", error.detail)
        folder.unlogged = error.detail
        note("unlogged", error.code)
        return False
    folder.unlogged = None
    return True
