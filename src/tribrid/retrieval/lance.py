"""Lance, and nothing else: a folder of tables, a table of passages. The only file that imports lance.

Ids and query texts are passed as values, never as parts of SQL or of a query language, so any text is safe. What
lance raises becomes StaleIndex when reading and Failed when writing, or Unavailable on a full disk.

lance and pyarrow are imported inside the functions that use them: together they take most of a second of processor
time, and most commands open no index. Opening a table imports both, and `load` does it ahead of time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from tribrid.corpus.terms import MAX_TERM_CHARS
from tribrid.errors import Failed, StaleIndex, Unavailable
from tribrid.retrieval.fusion import Key
from tribrid.retrieval.publication import REBUILD
from tribrid.retrieval.rows import Row, RowBatch, RowIds, Rows, Vector
from tribrid.types import Passage

# What a term is `corpus/terms.py` says, and the column holds terms. Lance's own analyser drops words from 40 bytes
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
_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES = 256 * 2**20, 64 * 2**20
MAX_SAID_CHARS = 300
_FULL = "No space left on device"
# As in `LanceError(IO): ..., PLACE/lance-io/src/local.rs:133:31`: a place on the machine that built Lance.
_PLACE = re.compile(r",?\s*(?:at |in )?[^\s,:]*[/\\][^\s,:]*\.rs:\d+(?::\d+)?")
_PASSAGE = ["doc_id", "ordinal", "start", "end", "title", "text"]
# Lance names a manifest so that the newest comes first in a listing.
_LAST_VERSION = 2**64 - 1
# RuntimeError from Lance itself, ValueError for requests and Arrow data, OSError from files.
_LANCE_ERRORS = (RuntimeError, ValueError, OSError)

Scored = tuple[RowIds, Vector]
"""Row ids and their scores, best first."""


def load() -> None:
    """Import Lance now, for a process whose first search shall not wait for it."""
    import lance.query  # noqa: F401


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
    import pyarrow.compute as pc

    return pc.field("doc_id").isin(list(doc_ids))


def _of_rows(row_ids: Iterable[int]) -> str:
    named = ",".join(map(str, map(int, row_ids)))
    return f"_rowid IN ({named})" if named else "false"


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

    def __init__(self, dataset: Any) -> None:
        """Take an open `lance.LanceDataset`."""
        from lance import LanceDataset

        self._data: LanceDataset = dataset
        self.dim: int = dataset.schema.field("vector").type.list_size

    @property
    def version(self) -> int:
        return self._data.version

    @_reading()
    def count(self) -> int:
        """Passages."""
        return self._data.count_rows()

    @_reading()
    def hashes(self) -> dict[str, str]:
        """doc_id → content_sha of every document."""
        found = self._data.to_table(columns=["doc_id", "content_sha"])
        return dict(zip(found["doc_id"].to_pylist(), found["content_sha"].to_pylist(), strict=True))

    @_reading()
    def rows(self, vectors_in_memory_bytes: int) -> Rows:
        """All keys, and the vectors if they fit."""
        count = self._data.count_rows()
        fits = count * self.dim * 4 <= vectors_in_memory_bytes
        columns = ["doc_id", "ordinal", "vector"] if fits else ["doc_id", "ordinal"]
        scan = self._data.to_batches(columns=columns, with_row_id=True)
        return Rows.load(map(_row_batch, scan), count, self.dim if fits else None)

    @_reading()
    def match(self, query: str, k: int, among: Sequence[int] | None = None) -> Scored:
        """The k best rows by BM25 for terms with spaces between them, of which the first MAX_QUERY_CHARS characters
        count. None for no term.

        Args:
            among: row ids, the only ones that are looked at, none of them twice; the statistics stay those of all rows.
        """
        from lance.query import MatchQuery

        found = self._data.to_table(
            columns=["_score"],
            full_text_query=MatchQuery(_utf8(query[:MAX_QUERY_CHARS]), "lexical"),
            filter=None if among is None else _of_rows(among),
            prefilter=True,
            limit=k,
            with_row_id=True,
        )
        return found["_rowid"].to_numpy(), found["_score"].to_numpy()

    @_reading()
    def nearest(self, vector: Vector, k: int) -> Scored:
        """The k rows of the highest dot product, by an exact scan."""
        nearest = {"column": "vector", "q": vector, "k": k, "metric": "dot", "use_index": False}
        found = self._data.to_table(columns=["_distance"], nearest=nearest, with_row_id=True)
        return found["_rowid"].to_numpy(), 1 - found["_distance"].to_numpy()

    def _taken(self, row_ids: Iterable[int], columns: list[str]) -> Any:
        """These rows' columns and _rowid, in the table's order: twice as fast as by key."""
        return self._data.to_table(columns=columns, filter=_of_rows(row_ids), with_row_id=True)

    @_reading()
    def rows_at(self, row_ids: Sequence[int], vectors: Callable[[RowIds], Vector] | None = None) -> list[Row]:
        """Whole rows, in the table's order.

        Args:
            vectors: gives those of row ids, where they need not be read.
        """
        if not row_ids:
            return []
        read = [] if vectors else ["vector"]
        taken = self._taken(row_ids, [*_PASSAGE, "tokens", *read])
        found = vectors(taken["_rowid"].to_numpy()) if vectors else _matrix(taken["vector"])
        passages = map(Passage, *(taken[name].to_pylist() for name in _PASSAGE))
        return list(map(Row, passages, taken["tokens"].to_pylist(), map(np.copy, found)))

    @_reading()
    def lexical_at(self, row_ids: Sequence[int]) -> list[str]:
        """What BM25 sees of these rows, in the table's order."""
        texts: list[str] = self._taken(row_ids, ["lexical"])["lexical"].to_pylist()
        return texts

    @_reading()
    def packed_at(self, row_ids: Sequence[int]) -> list[tuple[bytes, Vector]]:
        """Token blob and vector of these rows, in the table's order."""
        taken = self._taken(row_ids, ["tokens", "vector"])
        return list(zip(taken["tokens"].to_pylist(), _matrix(taken["vector"]), strict=True))

    @_reading()
    def vectors_at(self, row_ids: RowIds) -> Vector:
        """float32 (n, dim) in the order of `row_ids`, which are distinct."""
        taken = self._taken(row_ids.tolist(), ["vector"])
        vectors = np.empty((len(row_ids), self.dim), np.float32)
        vectors[np.argsort(row_ids)] = _matrix(taken["vector"])[np.argsort(taken["_rowid"].to_numpy())]
        return vectors

    @_reading()
    def passages_of(self, doc_ids: Collection[str]) -> list[Passage]:
        """All passages of these documents."""
        found = (self._data.to_table(columns=_PASSAGE, filter=_among(some)) for some in _chunks(doc_ids))
        return [_passage(row) for table in found for row in table.to_pylist()]

    def passages(self, keys: Collection[Key]) -> dict[Key, Passage]:
        return {key: _passage(row) for key, row in self._select(keys, _PASSAGE).items()}

    @_reading()
    def packed(self, keys: Collection[Key]) -> dict[Key, tuple[bytes, Vector]]:
        """Token blob and vector of each passage."""
        wanted = set(keys)
        found: dict[Key, tuple[bytes, Vector]] = {}
        for rows in self._of_keys(wanted, ["doc_id", "ordinal", "tokens", "vector"]):
            names = zip(rows["doc_id"].to_pylist(), rows["ordinal"].to_pylist(), strict=True)
            found.update(zip(names, zip(rows["tokens"].to_pylist(), _matrix(rows["vector"]), strict=True), strict=True))
        return {key: found[key] for key in wanted & found.keys()}

    @_reading()
    def _select(self, keys: Collection[Key], columns: list[str]) -> dict[Key, dict[str, Any]]:
        wanted = set(keys)
        found: dict[Key, dict[str, Any]] = {}
        for rows in self._of_keys(wanted, columns):
            found.update((_key(row), row) for row in rows.to_pylist())
        return {key: found[key] for key in wanted & found.keys()}

    def _of_keys(self, keys: Collection[Key], columns: list[str]) -> Iterator[Any]:
        """These columns of the rows of these keys, and of some others of their documents, a table at a time."""
        import pyarrow.compute as pc

        among_ordinals = pc.field("ordinal").isin(sorted({ordinal for _, ordinal in keys}))
        for some in _chunks(doc_id for doc_id, _ in keys):
            yield self._data.to_table(columns=columns, filter=_among(some) & among_ordinals)

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
        self._data.insert(pa.table(columns, schema=_schema(self.dim)))

    @_writing()
    def delete(self, doc_ids: Collection[str]) -> None:
        """Remove these documents' rows, FILTER_IDS documents a commit."""
        for some in _chunks(doc_ids):
            self._data.delete(_among(some))

    @_reading()
    def files(self) -> int:
        """Data files: one a commit until they are merged."""
        return len(self._data.get_fragments())

    @_writing()
    def merge(self) -> None:
        """Make one data file of all, without the deleted rows. Drops the indices; removes no old version."""
        for index in self._data.describe_indices():
            self._data.drop_index(index.name)
        self._data.optimize.compact_files(materialize_deletions_threshold=0.0)

    @_writing()
    def rebuild_indices(self) -> None:
        """Index all rows anew, so that BM25's statistics are those of the rows there are: 14 µs a passage.

        Lance can index added rows alone, but keeps counting deleted ones.
        """
        self._data.create_scalar_index("lexical", "INVERTED", **BM25_SETTINGS)
        self._data.create_scalar_index("doc_id", "BTREE")

    @_writing()
    def prune(self, older_than: timedelta) -> None:
        """Remove the versions, except the latest, that were committed longer ago."""
        self._data.cleanup_old_versions(older_than)


class Tables:
    """The tables of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}.lance"

    def _opened(self, name: str, version: int | None = None) -> PassageTable:
        import lance

        # The caches' default limits (6 GiB and 1 GiB) are meant for one big database, not for one a corpus.
        dataset = lance.dataset(
            self._place(name),
            version,
            index_cache_size_bytes=_INDEX_CACHE_BYTES,
            metadata_cache_size_bytes=_METADATA_CACHE_BYTES,
        )
        return PassageTable(dataset)

    @_reading()
    def open(self, name: str, version: int) -> PassageTable:
        """A table pinned to a version, for reading."""
        return self._opened(name, version)

    @_writing()
    def open_or_create(self, name: str, dim: int) -> PassageTable:
        """A table at its latest state, for writing; what a killed creation left of it is replaced."""
        place = self._place(name)
        if not any(place.glob("_versions/*.manifest")):
            import lance

            lance.write_dataset([], place, _schema(dim), "overwrite" if place.exists() else "create")
        return self._opened(name)

    @_writing()
    def drop(self, name: str) -> None:
        """Also what a killed creation left, which Lance would not call a table."""
        shutil.rmtree(self._place(name))

    @_reading()
    def files(self, name: str, version: int) -> list[str]:
        """What a version needs, by the path from the folder: its manifest, and of the others those that it may name.
        Not what older versions had, nor transactions, which are read where two write at once.
        """
        place = self._place(name)
        manifest = place / "_versions" / f"{_LAST_VERSION - version:020}.manifest"
        told = manifest.read_bytes()
        kept = [manifest, *(place / "_deletions").glob("*")]
        kept += [path for path in (place / "data").glob("*") if path.name.encode() in told]
        for index in (place / "_indices").glob("*"):
            kept += index.rglob("*") if UUID(index.name).bytes in told else ()
        return sorted(str(path.relative_to(self._folder)) for path in kept if path.is_file())

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.lance"))
