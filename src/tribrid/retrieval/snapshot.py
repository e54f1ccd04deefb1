"""One published version of an index, opened: both legs of a search, and whatever else is read of the same rows."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tribrid.corpus.terms import query_terms
from tribrid.encoders.recent import Recent
from tribrid.errors import StaleIndex
from tribrid.retrieval.fusion import Hit, Key, Legs, ranked
from tribrid.retrieval.lance import PassageTable
from tribrid.retrieval.metadata import Metadata, Numbers
from tribrid.retrieval.publication import Publication
from tribrid.retrieval.rows import Positions, Row, RowIds, Rows, Vector, best_positions
from tribrid.retrieval.selection import FEW_ROWS, Selection, best_among, numbered
from tribrid.retrieval.spaces import read_space
from tribrid.retrieval.weights import TermWeights
from tribrid.scoring.features import CorpusStatistics
from tribrid.types import DENSE, SPARSE, Passage

RECENT_BYTES = 48 * 2**20
"""Of rows that were found last: some 2,000 passages of 300 tokens."""
_COPIED = 4
"""To copy a vector takes about so many times as long as to multiply it where it stands."""


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
        self._recent: Recent[Key, Row] = Recent(lambda row: row.nbytes)

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
        """Passages that `legs` of this snapshot returned; faster than `passages`. What a reranker reads of them is
        then in memory too.
        """
        rows = self._recent.get(keys)
        missing = [legs.row_ids[key] for key in keys if key not in rows]
        read = self._table.rows_at(missing, self._vectors_of if self.rows.vectors is not None else None)
        rows |= (new := {row.passage.key: row for row in read})
        self._recent.put(new, RECENT_BYTES)
        return {key: row.passage for key, row in rows.items()}

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
        rows = self._recent.get(keys)
        read = self._table.packed([key for key in keys if key not in rows])
        return read | {key: (row.tokens, row.vector) for key, row in rows.items()}

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

    def _vectors_of(self, row_ids: RowIds) -> Vector:
        return self._vectors_at(self.rows.positions(row_ids))

    def _vectors_at(self, positions: Positions) -> Vector:
        if self.rows.vectors is None:
            return self._table.vectors_at(self.rows.row_ids[positions])
        return self.rows.vectors[positions]
