"""Every row of the database as a line of JSON, and back: what a backup holds of it, whichever database that is.

Read in one transaction that sees one moment; put back in one that replaces all there was, or nothing. No row is looked
into, and memory holds a few at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tribrid.errors import Conflict, InvalidInput, Unavailable
from tribrid.store import tables
from tribrid.store.database import Database, newest_revision, revisions
from tribrid.store.tables_segments import dropped_artifacts, log_segments
from tribrid.store.tables_shared import DERIVED
from tribrid.types import State

ROWS_AT_ONCE = 500
BYTES_AT_ONCE = 4 * 2**20
_READ_AT_ONCE = 50

Lines = Callable[[str], Iterable[bytes]]
"""The rows of a table, by its name: a JSON object each."""


class Snapshot:
    """The rows at one moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def tables(self) -> list[str]:
        """Their names, what others refer to first."""
        return [table.name for table in _kept()]

    def lines(self, name: str) -> Iterator[bytes]:
        """The rows of a table in the order of their key."""
        table = tables.metadata.tables[name]
        these = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=_READ_AT_ONCE)
        for row in self._connection.execute(these):
            yield json.dumps(dict(row._mapping), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def corpora(self) -> list[str]:
        """Their ids."""
        return list(self._connection.execute(sa.select(tables.corpora.c.corpus_id)).scalars())

    def artifacts(self) -> list[str]:
        """What the models' files are named."""
        return list(self._connection.execute(sa.select(tables.models.c.artifact).distinct()).scalars())

    def segments(self) -> list[str]:
        """What the files of the log are named."""
        return list(self._connection.execute(sa.select(log_segments.c.artifact)).scalars())


class Rows:
    """All rows, whatever they mean."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Read them as they are at this moment, for the length of a `with` block.

        Raises:
            Unavailable: as Database.
        """
        with self._database.snapshot() as connection:
            found = Snapshot(connection)
            found.artifacts()  # SQLite's moment is that of the first look
            yield found

    def require_none(self) -> None:
        """Pass if there is not a single row.

        Raises:
            Conflict: there is.
        """
        with self._database.read() as connection:
            held = next((table.name for table in tables.metadata.sorted_tables if _any(connection, table)), None)
            if held is not None:
                corpora = connection.execute(sa.select(sa.func.count()).select_from(tables.corpora)).scalar_one()
                raise Conflict(
                    f"There is something already ({corpora} corpora), and a backup is restored into an empty data "
                    "folder and database. Choose others, or have what is there replaced (--replace).",
                    corpora=corpora,
                )

    def replace(self, lines: Lines) -> dict[str, int]:
        """Put these rows in the place of all there are, at once; how many by table.

        Raises:
            InvalidInput: they are not rows of these tables.
            Unavailable: as Database.
        """
        with self._database.begin() as connection:
            named = Snapshot(connection).segments()
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(sa.delete(table))
            counts = _insert(connection, _kept(), lines)
            _drop(connection, set(named))
            # Whoever ran them is not here: the next worker takes them up.
            runs = sa.update(tables.jobs).where(tables.jobs.c.state == State.RUNNING.value)
            connection.execute(runs.values(worker=None, lease_until_us=None, attempts=0))
            if connection.dialect.name == "postgresql":
                _count_on(connection)
            return counts


@contextmanager
def of_this_release(lines: Lines, names: list[str], revision: str, folder: Path) -> Iterator[Lines]:
    """The rows that another release wrote, in this release's form.

    Args:
        names: its tables, in its order.
        revision: its last migration.
        folder: takes them while they are brought up to date.

    Raises:
        Unavailable: a newer release wrote them.
        InvalidInput: as `Rows.replace`.
    """
    if revision == newest_revision():
        yield lines
        return
    if revision not in revisions():
        raise Unavailable(
            f"A newer Tribrid made this backup (its tables are of {revision}, this release's of {newest_revision()}). "
            "Install that version, then restore it.",
            revision=revision,
        )
    with closing(Database(f"sqlite:///{folder / 'older.db'}")) as database:
        database.migrate(revision)
        with database.begin() as connection:
            _insert(connection, [_as_it_was(connection, name) for name in names], lines)
        database.migrate()
        with Rows(database).snapshot() as snapshot:
            yield snapshot.lines


def _kept() -> list[sa.Table]:
    """What a backup holds."""
    return [table for table in tables.metadata.sorted_tables if table.name not in DERIVED]


def _any(connection: sa.Connection, table: sa.Table) -> bool:
    return connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None


def _as_it_was(connection: sa.Connection, name: str) -> sa.TableClause:
    """A table as the database describes it."""
    try:
        columns = sa.inspect(connection).get_columns(name)
    except sa.exc.NoSuchTableError as error:
        raise InvalidInput(f"The backup holds rows of a table {name!r}, which its release has not.") from error
    for column in columns:
        if isinstance(column["type"], sa.JSON):
            column["type"].none_as_null = True
    return sa.table(name, *(sa.column(column["name"], column["type"]) for column in columns))


def _insert(connection: sa.Connection, into: Iterable[sa.TableClause], lines: Lines) -> dict[str, int]:
    counts = {}
    for table in into:
        counts[table.name] = 0
        try:
            for batch in _batches(lines(table.name)):
                connection.execute(sa.insert(table), batch)
                counts[table.name] += len(batch)
        except (sa.exc.IntegrityError, sa.exc.CompileError, ValueError, TypeError) as error:
            raise InvalidInput(f"The rows of {table.name} in the backup are none that the table can hold.") from error
    return counts


def _batches(lines: Iterable[bytes]) -> Iterator[list[Mapping[str, Any]]]:
    batch, size = [], 0
    for line in lines:
        batch.append(json.loads(line))
        size += len(line)
        if len(batch) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _drop(connection: sa.Connection, replaced: set[str]) -> None:
    """Have the log's files removed that no row names any more."""
    left = Snapshot(connection).segments()
    connection.execute(sa.delete(dropped_artifacts))
    for artifact in replaced.difference(left):
        connection.execute(sa.insert(dropped_artifacts).values(artifact=artifact))


def _count_on(connection: sa.Connection) -> None:
    """Let PostgreSQL number new rows after those that were put in with their numbers."""
    for table in tables.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
        last = sa.select(sa.func.max(column)).scalar_subquery()
        connection.execute(
            sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None))).where(
                sequence.is_not(None)
            )
        )
