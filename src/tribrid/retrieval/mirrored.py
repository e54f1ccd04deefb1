"""An index whose files are in an object store: read from a copy in a folder that follows what any machine publishes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tribrid.errors import StaleIndex, Unavailable
from tribrid.private import own_folder
from tribrid.retrieval.index import VECTORS_IN_MEMORY_BYTES, Index
from tribrid.retrieval.lance import PassageTable
from tribrid.retrieval.mirror import Mirror
from tribrid.retrieval.publication import Publication, read_publication, touch_publication, writer_lock
from tribrid.retrieval.writer import IndexWriter

_log = logging.getLogger(__name__)


class MirroredIndex(Index):
    """See the module. The first look at it brings the copy up to date; after that somebody calls `follow`."""

    def __init__(self, folder: Path, mirror: Mirror) -> None:
        own_folder(folder.parent)
        own_folder(folder)
        super().__init__(folder, VECTORS_IN_MEMORY_BYTES)
        self._mirror = mirror
        self._starting = threading.Lock()
        self._started = False

    def follow(self) -> None:
        """Bring the copy to what is served now.

        Raises:
            StaleIndex, Unavailable: it cannot be had, and the copy stays as it is.
        """
        self._mirror.pull()

    def is_behind(self, served: str | None) -> bool:
        """Whether there is a copy, of another state. One that was removed to make room comes back when it is used."""
        return self._copy() is not None and not self._mirror.at(served)

    @property
    def being_written(self) -> bool:
        """Whether some machine writes it now."""
        return self._mirror.being_written

    def check(self, *, whole: bool = False) -> None:
        """As Index.check, of the copy; one that is damaged is fetched again."""
        try:
            super().check(whole=whole)
        except StaleIndex:
            self._mirror.mend()
            super().check(whole=whole)

    @contextmanager
    def writer(self, fingerprint: str, dim: int, *, anew: bool = False) -> Iterator[IndexWriter]:
        """As Index.writer, over all machines.

        Raises:
            StaleIndex: what is published is damaged; it can only be made anew.
            Unavailable: store or database cannot be reached.
        """
        with self._mirror.writing(), writer_lock(self._folder):
            served = self._mirror.begin(anew=anew)
            yield IndexWriter(self._folder, self._tables, fingerprint, dim, anew=anew, shared=(self._mirror, served))

    def _published(self) -> Publication | None:
        found = self._started_with() if not self._started else read_publication(self._folder)
        if found is None:  # it was removed to make room, or nothing is published
            self._mirror.pull()
            self._snapshot = None
            found = read_publication(self._folder)
        if found is not None:
            touch_publication(self._folder, None)
        return found

    def _started_with(self) -> Publication | None:
        """What is served now; without a store or database that answers, what was served last."""
        with self._starting:
            if not self._started:
                try:
                    self._mirror.pull()
                except Unavailable as error:
                    if self._copy() is None:
                        raise
                    _log.warning("The copy of an index in %s may be old: %s", self._folder.name, error.detail)
                self._started = True
        return read_publication(self._folder)

    def _copy(self) -> Publication | None:
        with suppress(StaleIndex):
            return read_publication(self._folder)
        return None

    def _open(self, publication: Publication) -> PassageTable:
        try:
            self._inspect(publication)
        except StaleIndex:  # the copy is damaged; what it is of need not be
            self._mirror.mend()
            self._inspect(publication)
        return self._tables.open(publication.table, publication.version)
