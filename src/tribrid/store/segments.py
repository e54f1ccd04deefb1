"""The log's older part: segments, each an artifact of Parquet files, listed in the database.

    lists.parquet   list_number, query_id, query, doc_ids, ranks (NULL: 1, 2, ...), scores (NULL: all 0), created_us,
                    client_id; in the order of time
    acts.parquet    list_number, signal, doc_id, value, created_us; in the order of lists, then of time
    ids.parquet     id_hash, list_number; in the order of the hash, so that one query_id is found without reading all
    segment         a name of its own, so that no two segments are one artifact

All of them are lists that were imported. A list is known by its segment and its number in it, which it keeps when the
segment is written anew without others. A segment's row and its files change together: new files are written aside,
the row names them in the transaction that changes the rest, and the old ones are removed after it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from tribrid.errors import ModelUnavailable, Unavailable
from tribrid.store import tables
from tribrid.store.artifacts import Artifacts
from tribrid.store.columns import Columns, Engine, quoted, write
from tribrid.store.database import Database
from tribrid.store.tables_segments import dropped_artifacts, late_feedback, log_segments
from tribrid.types import ImpressionSource

LISTS, ACTS, IDS, NAME = "lists.parquet", "acts.parquet", "ids.parquet", "segment"
SOURCE: ImpressionSource = "import"
MODEL_ID = "imported"
"""Of every list of a segment."""
LIST_COLUMNS = "list_number, query_id, query, doc_ids, ranks, scores, created_us, client_id"
ACT_COLUMNS = "list_number, signal, doc_id, value, created_us"
HASH = "md5_number_lower"
_AFTER_ALL = 1 << 40
"""Added to the number of what came late: places in a file are below it."""
_SEGMENT, _LATE = log_segments.c, late_feedback.c


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's row: how much is in it, of which time, microseconds."""

    segment_number: int
    corpus_id: str
    artifact: str
    lists: int
    acts: int
    first_us: int
    last_us: int
    after_impression: int


@dataclass(frozen=True, slots=True)
class Written:
    """A segment's files, written and not yet listed."""

    artifact: str
    lists: int
    acts: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a corpus's log somebody has looked at: rows up to a number, and these segments."""

    last_impression: int
    segments: tuple[Segment, ...]


class Reading:
    """Some segments, as views for DuckDB.

    `lists`: segment, and what lists.parquet has. `acts`: segment, what acts.parquet has, and what came later. `ids`:
    segment, and what ids.parquet has. `act` is the order of a list's acts of one moment.
    """

    def __init__(self, columns: Columns, segments: Sequence[Segment]) -> None:
        self.columns = columns
        self.segments = segments


class Segments:
    """The segments of every corpus."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database, self._artifacts = database, artifacts
        self._engine = Engine(artifacts.stage)

    def close(self) -> None:
        self._engine.close()

    @property
    def are_for_all(self) -> bool:
        """Whether who reads the rows has the files too: folders that share a PostgreSQL have each their own."""
        return not self._database.is_shared

    # ---------------------------------------------------------------------------------------- reading

    @contextmanager
    def reading(
        self, connection: sa.Connection, corpus_id: str | None, only: sa.ColumnElement[bool] | None = None
    ) -> Iterator[Reading | None]:
        """The segments of a corpus (None: of all) as of this transaction, for the length of a `with` block; None where
        there are none.

        Args:
            only: a condition on their rows.
        """
        segments = listed(connection, corpus_id, only)
        if not segments:
            yield None
            return
        with self._engine.cursor() as columns:
            self.views(connection, columns, segments)
            yield Reading(columns, segments)

    def views(self, connection: sa.Connection, columns: Columns, segments: Sequence[Segment]) -> None:
        """Make the views of a `Reading` on a connection."""
        numbers = [segment.segment_number for segment in segments]
        named = (_LATE.segment_number, _LATE.list_number, _LATE.signal, _LATE.doc_id, _LATE.value, _LATE.created_us)
        place = (_LATE.late_number + _AFTER_ALL).label("act")
        late = sa.select(*named, place).where(_LATE.segment_number.in_(numbers))
        kinds = ("int", "int", "text", "text", "real", "int", "int")
        names = ("segment", "list_number", "signal", "doc_id", "value", "created_us", "act")
        rows = [tuple(row) for row in connection.execute(late)]
        values = list(zip(*rows, strict=True)) or [()] * len(names)
        columns.table("late", {n: (k, list(v)) for n, k, v in zip(names, kinds, values, strict=True)})
        for view, file in (("lists", LISTS), ("ids", IDS)):
            columns.run(f"CREATE OR REPLACE TEMP VIEW {view} AS {self._every(segments, file)}")
        columns.run(
            "CREATE OR REPLACE TEMP VIEW acts AS SELECT * RENAME (file_row_number AS act) FROM "
            f"({self._every(segments, ACTS, ', file_row_number = true')}) UNION ALL BY NAME SELECT * FROM late"
        )

    def _every(self, segments: Sequence[Segment], file: str, options: str = "") -> str:
        return " UNION ALL ".join(
            f"SELECT {segment.segment_number}::BIGINT AS segment, * FROM read_parquet("
            f"{quoted(self._folder(segment) / file)}{options})"
            for segment in segments
        )

    def _folder(self, segment: Segment) -> Path:
        try:
            return self._artifacts.path(segment.artifact)
        except ModelUnavailable as error:
            raise Unavailable(
                f"A part of the log is not in this data folder (artifact {segment.artifact}). If something was erased "
                "just now, ask again; else restore a backup.",
                artifact=segment.artifact,
            ) from error

    def cursor(self) -> Columns:
        """A connection for work on no segment in particular; close it."""
        return self._engine.cursor()

    # ---------------------------------------------------------------------------------------- writing

    def write(self, columns: Columns, lists: str, acts: str) -> Written | None:
        """Write the files of a segment, for `add` to list; None where there is no list.

        Args:
            lists, acts: what gives the columns of the files, in any order; of acts also `act`, their order.
        """
        staged = self._artifacts.stage()
        try:
            write(columns, f"SELECT {LIST_COLUMNS} FROM ({lists}) ORDER BY list_number", staged / LISTS)
            own = quoted(staged / LISTS)
            counted = f"SELECT count(*), min(created_us), max(created_us) FROM read_parquet({own})"
            count, first_us, last_us = columns.one(counted)
            if not count:
                return None
            done = f"SELECT {ACT_COLUMNS} FROM ({acts}) ORDER BY list_number, created_us, act"
            write(columns, done, staged / ACTS)
            ids = f"SELECT {HASH}(query_id) AS id_hash, list_number FROM read_parquet({own}) ORDER BY id_hash"
            write(columns, ids, staged / IDS)
            (acted,) = columns.one(f"SELECT count(*) FROM read_parquet({quoted(staged / ACTS)})")
            (staged / NAME).write_text(uuid4().hex)
            return Written(self._artifacts.commit(staged), count, acted, first_us, last_us)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def forget(self, written: Written) -> None:
        """Remove files that were written and are not listed."""
        self._artifacts.remove(written.artifact)

    def rewrite(self, connection: sa.Connection, reading: Reading, segment: Segment, lists: str, acts: str) -> None:
        """Put other files in the place of a segment's, within the caller's transaction; what came late is in them. A
        segment without lists goes. `remove_dropped` afterwards.

        Args:
            lists, acts: as of `write`.
        """
        this = _SEGMENT.segment_number == segment.segment_number
        new = self.write(reading.columns, lists, acts)
        connection.execute(sa.insert(dropped_artifacts).values(artifact=segment.artifact))
        if new is None:
            connection.execute(sa.delete(log_segments).where(this))
            return
        connection.execute(sa.delete(late_feedback).where(_LATE.segment_number == segment.segment_number))
        connection.execute(
            sa.update(log_segments)
            .where(this)
            .values(artifact=new.artifact, lists=new.lists, acts=new.acts, first_us=new.first_us, last_us=new.last_us)
        )

    def remove_dropped(self) -> None:
        """Remove the files that no segment names any more."""
        with self._database.read() as connection:
            found = list(connection.execute(sa.select(dropped_artifacts.c.artifact)).scalars())
        for artifact in found:
            self._artifacts.remove(artifact)
        if found:
            with self._database.begin() as connection:
                connection.execute(sa.delete(dropped_artifacts).where(dropped_artifacts.c.artifact.in_(found)))

    def sweep(self, older_than_s: float) -> None:
        """Remove files of whoever was killed before they were listed, untouched for that many seconds, and what an
        erasure dropped and was killed before it could remove it.
        """
        self.remove_dropped()
        strays = self._artifacts.holding(NAME, older_than_s)
        if strays:
            with self._database.read() as connection:
                known = set(connection.execute(sa.select(_SEGMENT.artifact)).scalars())
            for stray in strays - known:
                self._artifacts.remove(stray)


def listed(
    connection: sa.Connection, corpus_id: str | None, only: sa.ColumnElement[bool] | None = None
) -> list[Segment]:
    """The segments of a corpus, or of all, in the order in which they were listed."""
    own = sa.true() if corpus_id is None else _SEGMENT.corpus_id == corpus_id
    these = sa.select(log_segments).where(own, sa.true() if only is None else only)
    rows = connection.execute(these.order_by(_SEGMENT.segment_number))
    return [Segment(**row._mapping) for row in rows]


def add(connection: sa.Connection, corpus_id: str, written: Sequence[Written]) -> None:
    """List segments within the caller's transaction."""
    last = connection.execute(sa.select(sa.func.max(tables.impressions.c.impression_number))).scalar() or 0
    for one in written:
        row = {
            "corpus_id": corpus_id,
            "artifact": one.artifact,
            "lists": one.lists,
            "acts": one.acts,
            "first_us": one.first_us,
            "last_us": one.last_us,
            "after_impression": last,
        }
        connection.execute(sa.insert(log_segments).values(row))


def lock(connection: sa.Connection) -> None:
    """Keep segments from being written anew until the caller's transaction ends."""
    connection.execute(sa.select(_SEGMENT.segment_number).with_for_update(read=True)).all()
