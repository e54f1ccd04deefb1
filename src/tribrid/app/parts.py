"""What every subject of the library holds: the data folder, and of a corpus its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.app.bounds import EVERYWHERE, Bounds
from tribrid.jobs import Supervisor
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder


def quiet(_type: Any, _data: Mapping[str, Any]) -> None:
    """An `emit` for who does not watch."""


class FolderPart:
    """One subject of a data folder."""

    def __init__(self, folder: DataFolder, supervisor: Supervisor, bounds: Bounds = EVERYWHERE) -> None:
        self._folder, self._supervisor, self._bounds = folder, supervisor, bounds


class CorpusPart(FolderPart):
    """One subject of a corpus. Nothing is read before a method is called, so settings are always those of now."""

    def __init__(self, folder: DataFolder, supervisor: Supervisor, corpus_id: str, bounds: Bounds = EVERYWHERE) -> None:
        """Nothing is looked up.

        Raises:
            Forbidden: the corpus is out of bounds.
        """
        super().__init__(folder, supervisor, bounds)
        bounds.require(corpus_id)
        self.corpus_id = corpus_id

    def _open(self) -> OpenCorpus:
        """The corpus for one call.

        Raises:
            CorpusNotFound.
            Forbidden: not all of its documents may be found; `_open_filtered` is for what heeds that.
        """
        self._bounds.require_all_documents("this")
        return self._open_filtered()

    def _open_filtered(self) -> OpenCorpus:
        """As `_open`, for what shows no document but those that the bounds' filter lets through."""
        return open_corpus(self._folder, self.corpus_id)

    def require(self) -> None:
        """Check that there is such a corpus.

        Raises:
            CorpusNotFound.
        """
        self._folder.store.corpora.get(self.corpus_id)
