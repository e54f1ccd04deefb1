"""LanceDB, and nothing else: a folder of tables, a table of passages. The only file that imports lancedb.

Ids and query texts are passed as values, never as parts of SQL or of a query language, so any text is safe. What
lancedb raises becomes StaleIndex when reading and Failed when writing, or Unavailable on a full disk.

lancedb and pyarrow are imported inside the functions that use them: together they take over a second of processor time,
and most commands open no index. Opening a folder's tables imports both, and `load` does it ahead of time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import numpy as np

from tribrid.corpus.terms import MAX_TERM_CHARS
from tribrid.errors import Failed, StaleIndex, Unavailable
from tribrid.retrieval.fusion import Key
from tribrid.retrieval.publication import REBUILD
from tribrid.retrieval.rows import Row, RowBatch, RowIds, Rows, Vector
from tribrid.types import Passage

# What a term is `corpus/terms.py` says, and the column holds terms. LanceDB's own analyser drops words from 40 bytes
# on, looks for stop words among stems, and takes a sentence without spaces for a word.
BM25_SETTINGS: Mapping[str, Any] = {
    "base_tokenizer": "whitespace",
    "lower_case": False,
    "stem": False,
    "remove_stop_words": False,
    "ascii_folding": False,
    "max_token_length": 8 * MAX_TERM_CHARS,  # bytes
}
# A longer query (a pasted file) is cut for BM25: its time grows with the words (4096 characters: about 0.1 s over
# 100,000 passages), its use does not.
MAX_QUERY_CHARS = 4096
FILTER_IDS = 1000
_KEEP_ALL = timedelta(days=36_500)
_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES = 256 * 2**20, 64 * 2**20
MAX_SAID_CHARS = 300
_FULL = "No space left on device"
# As in `LanceError(IO): ..., PLACE/lance-io/src/local.rs:133:31`: a place on the machine that built LanceDB.
_PLACE = re.compile(r",?\s*(?:at |in )?[^\s,:]*[/\\][^\s,:]*\.rs:\d+(?::\d+)?")
_PASSAGE = ["doc_id", "ordinal", "start", "end", "title", "text"]
# Lance names a manifest so that the newest comes first in a listing.
_LAST_VERSION = 2**64 - 1
# RuntimeError from Lance itself, ValueError for requests and Arrow data, OSError from files.
_LANCE_ERRORS = (RuntimeError, ValueError, OSError)

Scored = tuple[RowIds, Vector]
"""Row ids and their scores, best first."""


def load() -> None:
    """Import LanceDB now, for a process whose first search shall not wait for it."""
    import lancedb.expr
    import lancedb.query  # noqa: F401


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except _LANCE_ERRORS as error:
        raise StaleIndex(f"The index cannot be read: {_said(error)}. {REBUILD}") from error


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except _LANCE_ERRORS as error:
        if _FULL in str(error):
            raise Unavailable("The index cannot be written: the disk is full. Free disk space.") from error
        raise Failed(f"The index cannot be written: {_said(error)}.") from error


def _said(error: Exception) -> str:
    """What a library says is wrong, without the places in its source, and in one line."""
    return _PLACE.sub("", str(error)).partition("\n")[0].strip(" .,:")[:MAX_SAID_CHARS]


def _schema(dim: int) -> Any:
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    return pa.schema(
        {"doc_id": text, "ordinal": number, "start": number, "end": number, "title": text, "text": text}
        | {"lexical": text, "vector": pa.list_(pa.float32(), dim), "content_sha": text, "tokens": pa.binary()}
    )


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _chunks(doc_ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, each once, FILTER_IDS at a time. One with a lone surrogate cannot be in the table: left out."""
    unique = [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id == _utf8(doc_id)]
    return (unique[start : start + FILTER_IDS] for start in range(0, len(unique), FILTER_IDS))


def _among(doc_ids: Sequence[str]) -> Any:
    from lancedb.expr import col

    return col("doc_id").isin(doc_ids)


def _key(row: Mapping[str, Any]) -> Key:
    return (row["doc_id"], row["ordinal"])


def _passage(row: Mapping[str, Any]) -> Passage:
    return Passage(*(row[name] for name in _PASSAGE))


def _matrix(vectors: Any) -> Vector:
    """A column of fixed-size lists as float32 (n, dim)."""
    import pyarrow as pa

    column = vectors.combine_chunks() if isinstance(vectors, pa.ChunkedArray) else vectors
    matrix: Vector = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    return matrix


def _row_batch(batch: Any) -> RowBatch:
    vectors = _matrix(batch["vector"]) if "vector" in batch.schema.names else None
    return batch["_rowid"].to_numpy(), batch["doc_id"].to_pylist(), batch["ordinal"].to_numpy(), vectors


class PassageTable:
    """One table of passages, at one version when opened for reading, at the latest for the writer."""

    def __init__(self, table: Any) -> None:
        """Take an open `lancedb.table.Table`."""
        from lancedb.table import Table

        self._table: Table = table
        self._awaited = table._table  # the asynchronous one behind it
        self.dim: int = table.schema.field("vector").type.list_size

    @property
    def version(self) -> int:
        return self._table.version

    @_reading()
    def count(self) -> int:
        """Passages."""
        return self._table.count_rows()

    @_reading()
    def hashes(self) -> dict[str, str]:
        """doc_id → content_sha of every document."""
        found = self._table.search().select(["doc_id", "content_sha"]).to_arrow()
        return dict(zip(found["doc_id"].to_pylist(), found["content_sha"].to_pylist(), strict=True))

    @_reading()
    def rows(self, vectors_in_memory_bytes: int) -> Rows:
        """All keys, and the vectors if they fit."""
        count = self._table.count_rows()
        fits = count * self.dim * 4 <= vectors_in_memory_bytes
        columns = ["doc_id", "ordinal", "vector"] if fits else ["doc_id", "ordinal"]
        scan = self._table.search().select(columns).with_row_id(True).to_batches()
        return Rows.load(map(_row_batch, scan), count, self.dim if fits else None)

    @_reading()
    def match(self, query: str, k: int, among: Sequence[int] | None = None) -> Scored:
        """The k best rows by BM25 for terms with spaces between them, of which the first MAX_QUERY_CHARS characters
        count. None for no term.

        Args:
            among: row ids, the only ones that are looked at, none of them twice; the statistics stay those of all rows.
        """
        from lancedb.background_loop import LOOP
        from lancedb.query import MatchQuery

        words = MatchQuery(_utf8(query[:MAX_QUERY_CHARS]), "lexical")  # type: ignore[call-arg]  # pydantic's defaults
        # The synchronous table goes to its loop's thread and back for every batch of an answer, and this goes once.
        request = self._awaited.query().nearest_to_text(words)
        if among is not None:
            request = request.where(f"_rowid IN ({','.join(map(str, map(int, among)))})")
        read = request.select(["_score"]).with_row_id().limit(k).to_arrow()
        found = LOOP.run(read)  # type: ignore[no-untyped-call]  # as lancedb's own synchronous table does
        return found["_rowid"].to_numpy(), found["_score"].to_numpy()

    @_reading()
    def nearest(self, vector: Vector, k: int) -> Scored:
        """The k rows of the highest dot product, by an exact scan."""
        request = self._table.search(vector, vector_column_name="vector", query_type="vector")
        request = request.distance_type("dot")  # type: ignore[attr-defined]  # typed as the builders' common base
        found = request.select(["_distance"]).with_row_id(True).limit(k).to_arrow()
        return found["_rowid"].to_numpy(), 1 - found["_distance"].to_numpy()

    @_reading()
    def rows_at(self, row_ids: Sequence[int]) -> list[Row]:
        """Whole rows, in the table's order: twice as fast as by key, and all columns cost little more than one."""
        if not row_ids:
            return []
        taken = self._table.take_row_ids(list(row_ids)).select([*_PASSAGE, "tokens", "vector"]).to_arrow()
        passages = map(Passage, *(taken[name].to_pylist() for name in _PASSAGE))
        return list(map(Row, passages, taken["tokens"].to_pylist(), map(np.copy, _matrix(taken["vector"]))))

    @_reading()
    def lexical_at(self, row_ids: Sequence[int]) -> list[str]:
        """What BM25 sees of these rows, in the table's order."""
        taken = self._table.take_row_ids(list(row_ids)).select(["lexical"]).to_arrow()
        texts: list[str] = taken["lexical"].to_pylist()
        return texts

    @_reading()
    def packed_at(self, row_ids: Sequence[int]) -> list[tuple[bytes, Vector]]:
        """Token blob and vector of these rows, in the table's order."""
        taken = self._table.take_row_ids(list(row_ids)).select(["tokens", "vector"]).to_arrow()
        return list(zip(taken["tokens"].to_pylist(), _matrix(taken["vector"]), strict=True))

    @_reading()
    def vectors_at(self, row_ids: RowIds) -> Vector:
        """float32 (n, dim) in the order of `row_ids`, which are distinct."""
        taken = self._table.take_row_ids(row_ids.tolist()).select(["vector"]).with_row_id().to_arrow()
        # Rows come back in the table's order.
        vectors = np.empty((len(row_ids), self.dim), np.float32)
        vectors[np.argsort(row_ids)] = _matrix(taken["vector"])[np.argsort(taken["_rowid"].to_numpy())]
        return vectors

    @_reading()
    def passages_of(self, doc_ids: Collection[str]) -> list[Passage]:
        """All passages of these documents."""
        requests = (self._table.search().where(_among(some)).select(_PASSAGE) for some in _chunks(doc_ids))
        return [_passage(row) for request in requests for row in request.to_list()]

    def passages(self, keys: Collection[Key]) -> dict[Key, Passage]:
        return {key: _passage(row) for key, row in self._select(keys, _PASSAGE).items()}

    @_reading()
    def packed(self, keys: Collection[Key]) -> dict[Key, tuple[bytes, Vector]]:
        """Token blob and vector of each passage."""
        wanted = set(keys)
        found: dict[Key, tuple[bytes, Vector]] = {}
        for request in self._requests(wanted, ["doc_id", "ordinal", "tokens", "vector"]):
            rows = request.to_arrow()
            names = zip(rows["doc_id"].to_pylist(), rows["ordinal"].to_pylist(), strict=True)
            found.update(zip(names, zip(rows["tokens"].to_pylist(), _matrix(rows["vector"]), strict=True), strict=True))
        return {key: found[key] for key in wanted & found.keys()}

    @_reading()
    def _select(self, keys: Collection[Key], columns: list[str]) -> dict[Key, dict[str, Any]]:
        wanted = set(keys)
        found: dict[Key, dict[str, Any]] = {}
        for request in self._requests(wanted, columns):
            found.update((_key(row), row) for row in request.to_list())
        return {key: found[key] for key in wanted & found.keys()}

    def _requests(self, keys: Collection[Key], columns: list[str]) -> Iterator[Any]:
        """What asks for these columns of the rows of these keys, and of some others of their documents."""
        from lancedb.expr import col

        among_ordinals = col("ordinal").isin(sorted({ordinal for _, ordinal in keys}))
        for some in _chunks(doc_id for doc_id, _ in keys):
            yield self._table.search().where(_among(some) & among_ordinals).select(columns)

    @_writing()
    def add(
        self,
        passages: Sequence[Passage],
        lexical: Sequence[str],
        vectors: Vector,
        content_shas: Sequence[str],
        tokens: Sequence[bytes],
    ) -> None:
        """Append rows in one commit."""
        import pyarrow as pa

        columns: dict[str, Any] = {name: [getattr(passage, name) for passage in passages] for name in _PASSAGE}
        columns |= {"lexical": list(lexical), "content_sha": list(content_shas), "tokens": list(tokens)}
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, self.dim)
        self._table.add(pa.table(columns, schema=_schema(self.dim)))

    @_writing()
    def delete(self, doc_ids: Collection[str]) -> None:
        """Remove these documents' rows, FILTER_IDS documents a commit."""
        for some in _chunks(doc_ids):
            self._table.delete(_among(some))

    @_reading()
    def files(self) -> int:
        """Data files: one a commit until they are merged."""
        stats = cast("Mapping[str, Any]", self._table.stats())  # declared as an object, a dict in lancedb 0.40
        return int(stats["fragment_stats"]["num_fragments"])

    @_writing()
    def set_apart(self) -> None:
        """Write one document's rows again, in a file of their own. LanceDB rewrites a file for the sake of a few
        deleted rows only where there is another to merge it with.
        """
        first = self._table.search().select(["doc_id"]).limit(1).to_arrow()["doc_id"].to_pylist()
        if first:
            rows = self._table.search().where(_among(first)).to_arrow()
            self._table.delete(_among(first))
            self._table.add(rows)

    @_writing()
    def merge(self) -> None:
        """Make one data file of all, without the deleted rows. Drops the indices; removes no old version."""
        for index in self._table.list_indices():
            self._table.drop_index(index.name)
        self._table.optimize(cleanup_older_than=_KEEP_ALL)

    @_writing()
    def rebuild_indices(self) -> None:
        """Index all rows anew, so that BM25's statistics are those of the rows there are: 14 µs a passage.

        LanceDB can index added rows alone, but only together with a merge, and it keeps counting deleted ones.
        """
        from lancedb.index import FTS, BTree

        self._table.create_index("lexical", config=FTS(**BM25_SETTINGS), replace=True)
        self._table.create_index("doc_id", config=BTree(), replace=True)

    @_writing()
    def prune(self, older_than: timedelta) -> None:
        """Remove the versions, except the latest, that were committed longer ago. Merges what is not merged yet."""
        self._table.optimize(cleanup_older_than=older_than)


class Tables:
    """The tables of one folder."""

    def __init__(self, folder: Path) -> None:
        import lancedb

        self._folder = folder
        # The caches' default limits (6 GiB and 1 GiB) are meant for one big database, not for one a corpus.
        self._connection = lancedb.connect(folder, session=lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES))

    @_reading()
    def open(self, name: str, version: int) -> PassageTable:
        """A table pinned to a version, for reading."""
        table = self._connection.open_table(name)
        table.checkout(version)
        return PassageTable(table)

    @_writing()
    def open_or_create(self, name: str, dim: int) -> PassageTable:
        """A table at its latest state, for writing; what a killed creation left of it is replaced."""
        place = self._folder / f"{name}.lance"
        if any(place.glob("_versions/*.manifest")):
            table = self._connection.open_table(name)
        else:
            mode = "overwrite" if place.exists() else "create"
            table = self._connection.create_table(name, schema=_schema(dim), mode=mode)
        return PassageTable(table)

    @_writing()
    def drop(self, name: str) -> None:
        self._connection.drop_table(name)

    @_reading()
    def files(self, name: str, version: int) -> list[str]:
        """What a version needs, by the path from the folder: its manifest, and of the others those that it may name.
        Not what older versions had, nor transactions, which are read where two write at once.
        """
        place = self._folder / f"{name}.lance"
        manifest = place / "_versions" / f"{_LAST_VERSION - version:020}.manifest"
        told = manifest.read_bytes()
        kept = [manifest, *(place / "_deletions").glob("*")]
        kept += [path for path in (place / "data").glob("*") if path.name.encode() in told]
        for index in (place / "_indices").glob("*"):
            kept += index.rglob("*") if UUID(index.name).bytes in told else ()
        return sorted(str(path.relative_to(self._folder)) for path in kept if path.is_file())

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.lance"))
