"""The index of one corpus: passages searched by BM25 and by vectors, from whichever process published them.

Derived data: it can be deleted and rebuilt from the store at any time. Readers see whole syncs only: `Index` opens
the version that `publication.py` names, so both legs of a query look at the same rows, a half-done sync is invisible,
and a killed writer leaves the last finished state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tribrid.errors import StaleIndex
from tribrid.private import own_folder
from tribrid.retrieval.checksums import Inspector, read_checksums
from tribrid.retrieval.fusion import Hit, Key
from tribrid.retrieval.lance import PassageTable, Tables
from tribrid.retrieval.publication import REBUILD, Publication, being_written, read_publication, writer_lock
from tribrid.retrieval.rows import Vector
from tribrid.retrieval.snapshot import Snapshot
from tribrid.retrieval.writer import IndexWriter
from tribrid.scoring.features import CorpusStatistics
from tribrid.types import Passage

VECTORS_IN_MEMORY_BYTES = 256 * 2**20
T = TypeVar("T")


class Index:
    """A corpus's index in one folder. Reads go to the last published state; one process at a time writes."""

    def __init__(self, folder: Path, vectors_in_memory_bytes: int) -> None:
        self._folder = folder
        self._in_memory_bytes = vectors_in_memory_bytes
        self._tables = Tables(folder)
        self._opening = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._inspector = Inspector(folder)

    @classmethod
    def open(cls, folder: Path, *, vectors_in_memory_bytes: int = VECTORS_IN_MEMORY_BYTES) -> Index:
        """The index of a folder, which may be empty or missing: then nothing is found until something is published.

        Args:
            folder: the corpus's own; nothing else lives in it.
            vectors_in_memory_bytes: vectors are kept in memory up to this size, else scanned on disk.
        """
        own_folder(folder.parent)
        own_folder(folder)
        return cls(folder, vectors_in_memory_bytes)

    def _published(self) -> Publication | None:
        return read_publication(self._folder)

    @property
    def fingerprint(self) -> str | None:
        """What the published state was made with; None when nothing was published yet."""
        publication = self._published()
        return publication.fingerprint if publication else None

    @property
    def being_written(self) -> bool:
        """Whether somebody writes it now."""
        return being_written(self._folder)

    def snapshot(self) -> Snapshot | None:
        """The published state, opened; None when nothing was published yet. About 0.05 ms when it is unchanged.

        Raises:
            StaleIndex: the published table is missing or unreadable.
        """
        with self._opening:
            publication = self._published()
            if publication is None:
                self._snapshot = None
            elif self._snapshot is None or self._snapshot.publication != publication:
                table = self._open(publication)
                self._snapshot = Snapshot(self._folder, table, publication, self._in_memory_bytes)
            return self._snapshot

    def _open(self, publication: Publication) -> PassageTable:
        self._inspect(publication)
        return self._tables.open(publication.table, publication.version)

    def read(self, query: Callable[[Snapshot], T], nothing: T) -> T:
        """The query's answer from one snapshot; `nothing` when none was published yet.

        A sync may remove a superseded snapshot's files while the query runs; it is then run on the newer one.

        Raises:
            StaleIndex: the index cannot be read, and there is no newer state.
        """
        snapshot = self.snapshot()
        if snapshot is None:
            return nothing
        try:
            return query(snapshot)
        except StaleIndex:
            newer = self.snapshot()
            if newer is None or newer is snapshot:
                raise
        return query(newer)

    def check(self, *, whole: bool = False) -> None:
        """Pass if the published files are what was published.

        Args:
            whole: read all of them, and do not rely on their size and time.

        Raises:
            StaleIndex: they are not, or one is missing, or there are tables and nobody says which is published.
        """
        publication = self._published()
        if publication is not None:
            self._inspect(publication, whole=whole)
        elif any(self._folder.glob("*.lance")) and not self.being_written:
            raise StaleIndex(f"The index was never finished, or published.json is missing. {REBUILD}")

    def _inspect(self, publication: Publication, *, whole: bool = False) -> None:
        noted = read_checksums(self._folder)
        if noted is None or (noted.table, noted.version) != (publication.table, publication.version):
            return  # an older version published it, or it is being published just now
        fault = self._inspector.damage(noted, whole=whole)
        # While one state is compared the next can take its place, and its files with it.
        if fault and read_publication(self._folder) == publication and read_checksums(self._folder) == noted:
            raise StaleIndex(f"The index is damaged: {fault}. {REBUILD}")

    @contextmanager
    def writer(self, fingerprint: str, dim: int, *, anew: bool = False) -> Iterator[IndexWriter]:
        """The index open for writing. Waits while another thread or process writes.

        Args:
            fingerprint: what the rows are made with. Another than the published one starts an empty table.
            dim: numbers in a vector.
            anew: start an empty table in any case, whatever became of the others.

        Raises:
            StaleIndex: what is published is damaged; it can only be made anew.
        """
        with writer_lock(self._folder):
            if not anew and (publication := read_publication(self._folder)):
                self._inspect(publication)
            yield IndexWriter(self._folder, self._tables, fingerprint, dim, anew=anew)

    def count(self) -> int:
        """Passages. Told without opening the index, but for one that an older version published."""
        publication = self._published()
        known = publication.passages if publication else 0
        return self.read(Snapshot.count, 0) if known is None else known

    @property
    def has_statistics(self) -> bool:
        """Whether `statistics` has something to say; told without opening the index."""
        publication = self._published()
        return publication is not None and publication.space is not None

    def statistics(self) -> CorpusStatistics | None:
        """As Snapshot.statistics; None also where nothing was published yet."""
        return self.read(lambda snapshot: snapshot.statistics, None)

    def doc_hashes(self) -> dict[str, str]:
        """doc_id → content_sha of every published document."""
        return self.read(Snapshot.doc_hashes, {})

    def bm25(self, query: str, k: int) -> list[Hit]:
        """As Snapshot.bm25."""
        return self.read(lambda snapshot: snapshot.bm25(query, k), [])

    def nearest(self, vector: Vector, k: int) -> list[Hit]:
        """As Snapshot.nearest."""
        return self.read(lambda snapshot: snapshot.nearest(vector, k), [])

    def passages(self, keys: Collection[Key]) -> dict[Key, Passage]:
        """As Snapshot.passages."""
        return self.read(lambda snapshot: snapshot.passages(keys), {})

    def passages_of(self, doc_ids: Collection[str]) -> dict[str, list[Passage]]:
        """As Snapshot.passages_of."""
        return self.read(lambda snapshot: snapshot.passages_of(doc_ids), {})

    def packed(self, keys: Collection[Key]) -> dict[Key, tuple[bytes, Vector]]:
        """As Snapshot.packed."""
        return self.read(lambda snapshot: snapshot.packed(keys), {})
