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
        """
        return open_corpus(self._folder, self.corpus_id)

    def require(self) -> None:
        """Check that there is such a corpus.

        Raises:
            CorpusNotFound.
        """
        self._folder.store.corpora.get(self.corpus_id)
