"""The index of one corpus: passages searched by BM25 and by vectors, from whichever process published them.

Derived data: it can be deleted and rebuilt from the store at any time. Readers see whole syncs only: `Index` opens
the version that `publication.py` names, so both legs of a query look at the same rows, a half-done sync is invisible,
and a killed writer leaves the last finished state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from tribrid.corpus.terms import query_terms
from tribrid.errors import StaleIndex
from tribrid.private import own_folder
from tribrid.retrieval.checksums import Inspector, read_checksums
from tribrid.retrieval.fusion import Hit, Key, Legs, ranked
from tribrid.retrieval.lance import PassageTable, Tables
from tribrid.retrieval.metadata import Metadata, Numbers
from tribrid.retrieval.publication import REBUILD, Publication, being_written, read_publication, writer_lock
from tribrid.retrieval.rows import Positions, Rows, Vector, best_positions
from tribrid.retrieval.selection import FEW_ROWS, Selection, best_among, numbered
from tribrid.retrieval.spaces import read_space
from tribrid.retrieval.weights import TermWeights
from tribrid.retrieval.writer import IndexWriter
from tribrid.scoring.features import CorpusStatistics
from tribrid.types import DENSE, SPARSE, Passage

VECTORS_IN_MEMORY_BYTES = 256 * 2**20
_COPIED = 4
"""To copy a vector takes about so many times as long as to multiply it where it stands."""
T = TypeVar("T")


class Placed(NamedTuple):
    """A document's passage: where it stands in the document and in the table, and how near it is."""

    ordinal: int
    row_id: int
    cosine: float


class Snapshot:
    """One published version of the index: everything read from it belongs together. Safe for threads.

    Every method raises StaleIndex when the files cannot be read; `Index.read` knows what to do then.
    """

    def __init__(
        self, folder: Path, table: PassageTable, publication: Publication, vectors_in_memory_bytes: int
    ) -> None:
        self.publication = publication
        self._folder = folder
        self._table = table
        self._in_memory_bytes = vectors_in_memory_bytes
        self._loading = threading.Lock()
        self._loaded: Rows | None = None
        self._weights: TermWeights | None = None
        self._statistics: CorpusStatistics | None = None
        self._numbered: tuple[Metadata, Numbers] | None = None
        self._of_document: dict[str, list[int]] | None = None

    @property
    def rows(self) -> Rows:
        """Keys and vectors in memory, loaded at the first use."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._table.rows(self._in_memory_bytes)
            return self._loaded

    @property
    def weights(self) -> TermWeights:
        """For BM25 of texts that are not in the index; made at the first use, which takes some 0.1 s."""
        rows = self.rows
        with self._loading:
            if self._weights is None:
                self._weights = TermWeights.of_index(self._table, rows.row_ids)
            return self._weights

    @property
    def statistics(self) -> CorpusStatistics | None:
        """What is counted over the passages, loaded at the first use; None where an older version published."""
        with self._loading:
            if self._statistics is None and self.publication.space is not None:
                self._statistics = read_space(self._folder, self.publication.space)
            return self._statistics

    def count(self) -> int:
        """Passages."""
        return self._table.count()

    def keys(self) -> list[Key]:
        """Every passage's key."""
        return list(zip(self.rows.doc_ids.tolist(), self.rows.ordinals.tolist(), strict=True))

    def doc_hashes(self) -> dict[str, str]:
        """doc_id → content_sha of every document."""
        return self._table.hashes()

    def chosen(self, selection: Selection) -> Positions:
        """The rows that a search may find, ascending. Which document each row is of is looked up once."""
        known = self._numbered
        if known is None or known[0] is not selection.metadata:
            numbers = numbered(selection.metadata, self.rows.doc_ids.tolist(), self.doc_hashes())
            known = self._numbered = (selection.metadata, numbers)
        return selection.rows(known[1])

    def legs(self, query: str, vector: Vector, k: int, among: Positions | None = None) -> Legs:
        """Both legs' k best passages, and the exact cosine of every passage that either returned.

        Args:
            query: as it was asked.
            vector: float32 (dim,), L2-normalised.
            k: passages a leg.
            among: rows, ascending, the only ones that are found; None: all.
        """
        sparse, bm25 = self._match(query, k, among)
        dense, cosines = self._nearest(vector, k, among)
        only_sparse = np.setdiff1d(sparse, dense)
        either = np.concatenate([dense, only_sparse])
        keys = self.rows.keys(either)
        exact = np.concatenate([cosines, self._vectors_at(only_sparse) @ vector])
        return Legs(
            hits={
                SPARSE: ranked(self.rows.keys(sparse), bm25.tolist()),
                DENSE: ranked(keys[: len(dense)], cosines.tolist()),
            },
            cosines=dict(zip(keys, exact.tolist(), strict=True)),
            row_ids=dict(zip(keys, self.rows.row_ids[either].tolist(), strict=True)),
        )

    def best_passages(self, doc_ids: Iterable[str], vector: Vector, among: Positions | None) -> dict[str, Placed]:
        """Of each document the passage of the highest cosine; one that may not be found, or is not here, is missing.

        Args:
            vector, among: as of `legs`.
        """
        rows_of = self._rows_by_document()
        rows = np.array([row for doc_id in doc_ids for row in rows_of.get(doc_id, ())], np.intp)
        if among is not None:
            rows = np.intersect1d(rows, among, assume_unique=True)
        best: dict[str, Placed] = {}
        cosines = self._vectors_at(rows) @ vector if len(rows) else np.zeros(0, np.float32)
        ids = self.rows.row_ids[rows].tolist()
        for (doc_id, ordinal), row_id, cosine in zip(self.rows.keys(rows), ids, cosines.tolist(), strict=True):
            if doc_id not in best or (cosine, -ordinal) > (best[doc_id].cosine, -best[doc_id].ordinal):
                best[doc_id] = Placed(ordinal, row_id, cosine)
        return best

    def _rows_by_document(self) -> dict[str, list[int]]:
        if self._of_document is None:
            found: dict[str, list[int]] = {}
            for row, doc_id in enumerate(self.rows.doc_ids.tolist()):
                found.setdefault(doc_id, []).append(row)
            self._of_document = found
        return self._of_document

    def found(self, legs: Legs, keys: Collection[Key]) -> dict[Key, Passage]:
        """Passages that `legs` of this snapshot returned; faster than `passages`."""
        return self._table.passages_at([legs.row_ids[key] for key in keys])

    def bm25(self, query: str, k: int) -> list[Hit]:
        """The k best passages by BM25, best first; none when no word of the query is left after stop words.

        Any text is a query: it is tokenised, never parsed.
        """
        positions, scores = self._match(query, k)
        return ranked(self.rows.keys(positions), scores.tolist())

    def nearest(self, vector: Vector, k: int) -> list[Hit]:
        """The k passages of the highest cosine, best first; exact. `vector` is float32 (dim,), L2-normalised."""
        positions, scores = self._nearest(vector, k)
        return ranked(self.rows.keys(positions), scores.tolist())

    def passages(self, keys: Collection[Key]) -> dict[Key, Passage]:
        """The passages of these keys; a key that the index does not hold is missing."""
        return self._table.passages(keys)

    def passages_of(self, doc_ids: Collection[str]) -> dict[str, list[Passage]]:
        """All passages of these documents, by ordinal; a document that the index does not hold is missing."""
        passages: dict[str, list[Passage]] = {}
        for passage in sorted(self._table.passages_of(doc_ids), key=lambda passage: passage.ordinal):
            passages.setdefault(passage.doc_id, []).append(passage)
        return passages

    def packed(self, keys: Collection[Key]) -> dict[Key, tuple[bytes, Vector]]:
        """The opaque token blob of each passage as it was added, and its vector: float32 (dim,), L2-normalised."""
        return self._table.packed(keys)

    def _match(self, query: str, k: int, among: Positions | None = None) -> tuple[Positions, Vector]:
        wanted = " ".join(query_terms(query))
        if among is None:
            row_ids, scores = self._table.match(wanted, k)
        elif len(among) <= FEW_ROWS:
            row_ids, scores = self._table.match(wanted, k, self.rows.row_ids[among].tolist())
        else:
            row_ids, scores = best_among(partial(self._table.match, wanted), k, self.rows, among)
        return self.rows.positions(row_ids), scores

    def _nearest(self, vector: Vector, k: int, among: Positions | None = None) -> tuple[Positions, Vector]:
        if vector.shape != (self._table.dim,):
            raise StaleIndex(
                f"The index holds vectors of {self._table.dim} numbers, the encoder makes {vector.shape}. Index again.",
                index_dim=self._table.dim,
            )
        if among is not None and (self.rows.vectors is not None or len(among) <= FEW_ROWS):
            scores = self._cosines(among, vector)
            best = best_positions(scores, k)
            return among[best], scores[best]
        if self.rows.vectors is None:
            nearest = partial(self._table.nearest, vector)
            row_ids, scores = nearest(k) if among is None else best_among(nearest, k, self.rows, among)
            return self.rows.positions(row_ids), scores
        scores = self.rows.vectors @ vector
        best = best_positions(scores, k)
        return best, scores[best]

    def _cosines(self, positions: Positions, vector: Vector) -> Vector:
        """Of some rows. Where they are many, the product with all is faster than a copy of theirs."""
        vectors = self.rows.vectors
        if vectors is None or len(positions) * _COPIED < len(vectors):
            return self._vectors_at(positions) @ vector
        cosines: Vector = (vectors @ vector)[positions]
        return cosines

    def _vectors_at(self, positions: Positions) -> Vector:
        if self.rows.vectors is None:
            return self._table.vectors_at(self.rows.row_ids[positions])
        return self.rows.vectors[positions]


class Index:
    """A corpus's index in one folder. Reads go to the last published state; one process at a time writes."""

    def __init__(self, folder: Path, vectors_in_memory_bytes: int) -> None:
        self._folder = folder
        self._in_memory_bytes = vectors_in_memory_bytes
        self._opening = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._inspector = Inspector(folder)

    @cached_property
    def _tables(self) -> Tables:
        """The folder's tables, opened at the first use: that imports LanceDB, which is slow."""
        return Tables(self._folder)

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
