"""One database, SQLite or PostgreSQL, reached the same way: `begin()` writes, `read()` reads, `migrate()` at start.

The only file that knows which of the two it is. A fault of the database itself is mapped here to the error tree;
a broken constraint is left to the caller, who knows what it means.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tribrid.errors import InvalidInput, MissingExtra, TribridError, Unavailable
from tribrid.private import FILE, close
from tribrid.store.tables import metadata

T = TypeVar("T")
BUSY_TIMEOUT_S = 30
FORGET_TIMEOUT_S = 2
_WRITES = "tribrid_writes"
_KEEPALIVE = {"idle": 10, "interval": 5, "count": 3}
"""Seconds, seconds, times: a connection whose other end is gone ends after 25 s."""
_LOOK_S = 0.1
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x7472_6962  # any number of our own; PostgreSQL's advisory locks are named by numbers
_VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where alembic keeps the last migration, as alembic makes it."""


def now_us() -> int:
    """The time, microseconds since 1970 in UTC."""
    return time.time_ns() // 1000


def clock_us(dialect: str) -> sa.ColumnElement[int]:
    """The time by the one clock that all who share the database read: PostgreSQL's own, or the machine's."""
    if dialect == "sqlite":
        return sa.bindparam("now_us", callable_=now_us, type_=sa.BigInteger)
    return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`: memory stays flat, and a statement's parameters under its limit."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def insert_into(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases spell alike and SQLAlchemy keeps apart."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _revision(connection: sa.Connection) -> str | None:
    """The last migration that was applied; None for a new database."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def _upgrade(connection: sa.Connection, revision: str) -> None:
    """Apply the migrations up to this one.

    Raises:
        Unavailable: what is there is not on the way to it.
    """
    # Slow to import, and needed once a release: every command opens a database.
    from alembic import command
    from alembic.config import Config as AlembicConfig
    from alembic.util import CommandError

    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise Unavailable(f"The database's tables are not this release's: {error}") from error


def _plain(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


# Made once: json.dumps makes an encoder for every value.
_ENCODE = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain).encode


def to_json(value: object) -> str:
    """Compact JSON. NaN and infinity are refused: PostgreSQL would refuse them later, SQLite never.

    Raises:
        InvalidInput: the value is not made of JSON's types, or holds NaN or infinity.
    """
    try:
        return _ENCODE(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"The database holds JSON values (no NaN, no infinity) only: {error}.") from error


def _first_line(error: sa.exc.DBAPIError) -> str:
    """What the driver says is wrong; its further lines can quote the values."""
    return str(error.orig).partition("\n")[0]


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Foreign errors in our words. A broken constraint (SQLAlchemy's IntegrityError) passes as it is."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise Unavailable(f"The database cannot be used: {_first_line(error)}") from error
    except sa.exc.TimeoutError as error:
        raise Unavailable("All database connections are in use. Try again.") from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidInput(f"The database cannot hold this value: {type(error).__name__}.") from error
    except sa.exc.DataError as error:
        raise InvalidInput(f"The database cannot hold this value: {_first_line(error)}") from error
    except sa.exc.StatementError as error:
        ours = _ours(error)
        if ours is None:
            raise
        raise ours from error


def _ours(error: sa.exc.StatementError) -> TribridError | None:
    """What it means; None where it is for the caller to understand."""
    if type(error) is sa.exc.DatabaseError:  # SQLite: malformed, or no database; its kinds are other types
        return Unavailable(
            f"The database cannot be read: {_first_line(error)}. If its file is damaged, restore a backup of the data "
            "folder."
        )
    # From to_json, wrapped on its way on SQLite only.
    return error.orig if isinstance(error.orig, InvalidInput) else None


def revisions() -> frozenset[str]:
    """The migrations that this release knows: a file is named after its revision."""
    return frozenset(file.stem for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def newest_revision() -> str:
    """This release's last migration."""
    return max(revisions())


def _own_file(path: Path) -> None:
    """Make the file if there is none, its owner's alone; SQLite gives the files beside it the mode of this one. Those
    of an older release are closed to others.
    """
    with suppress(OSError):  # a folder that is not there, or may not be written: SQLite says so
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE))
        for beside in ("", "-wal", "-shm"):
            close(path.with_name(path.name + beside), FILE)


def _configure_sqlite(connection: Any, _record: object) -> None:
    """Set up a new SQLite connection."""
    connection.isolation_level = None  # the driver opens no transactions behind our back; _begin_sqlite does
    cursor = connection.cursor()
    # Off by default for history's sake; without it no delete cascades.
    cursor.execute("PRAGMA foreign_keys = ON")
    # Readers and the one writer do not wait for each other (in the default mode, each reader blocks it).
    cursor.execute("PRAGMA journal_mode = WAL")
    # Under WAL, a killed process loses nothing either way. NORMAL saves an fsync per commit, and the price is that
    # after a power cut the last commits can be missing (whole ones: the file is never corrupt).
    cursor.execute("PRAGMA synchronous = NORMAL")
    # What was deleted is overwritten: an erased query must not be readable in the file's free pages.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Start a transaction.

    A writer takes the write lock at once (IMMEDIATE): one that reads first and asks for the lock later fails without
    waiting if another wrote in between; one that asks first waits its turn.
    """
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    try:
        # Pinging lets a pool outlive a restart of the server.
        return sa.create_engine(url, json_serializer=to_json, hide_parameters=True, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra("psycopg", "postgres", "A PostgreSQL database") from error


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:  # not chained, not quoted: the URL may hold a password
        raise InvalidInput("TRIBRID_DATABASE_URL is not a database URL such as postgresql://user@host/name.") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return _postgresql_engine(parsed)
    if backend != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise InvalidInput(f"A database must be PostgreSQL or an SQLite file, not {parsed.drivername!r}.")
    # `timeout`: a second writer waits this long for the first one's commit before it gives up.
    arguments = {"timeout": BUSY_TIMEOUT_S}
    engine = sa.create_engine(parsed, json_serializer=to_json, hide_parameters=True, connect_args=arguments)
    if not parsed.database.startswith("file:"):  # a URI of SQLite's own may name what is no file
        file = Path(parsed.database)
        sa.event.listen(engine, "do_connect", lambda *_: _own_file(file), once=True)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


class Database:
    """A pool of connections. Open one per process (never share one over a fork), from any thread."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            InvalidInput: the URL is malformed, or names neither PostgreSQL nor an SQLite file.
            MissingExtra: it names PostgreSQL, and psycopg is not installed.
        """
        self._reader = _engine(url)
        self._writer = self._reader.execution_options(**{_WRITES: True})

    @contextmanager
    def begin(self, *, alone: int | None = None) -> Iterator[sa.Connection]:
        """One transaction that writes: committed at the end of the block, rolled back if the block raises.

        Args:
            alone: a number of the caller's own: one transaction with it at a time, over all processes. On SQLite that
                holds of every transaction that writes.

        Raises:
            Unavailable: the database cannot be reached, is full, or was busy for 30 seconds.
            InvalidInput: a value that the database cannot hold.
        """
        with _mapped_errors(), self._writer.begin() as connection:
            if alone is not None and connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(alone)))
            yield connection

    @contextmanager
    def read(self, *, page: bool = False) -> Iterator[sa.Connection]:
        """One transaction that only reads. On SQLite it sees one moment; on PostgreSQL each statement does.

        Args:
            page: it reads one of many pages of a table in the order of an index. PostgreSQL, which has no statistics
                of rows just imported, would otherwise sort all that is left of the table anew for every page.

        Raises:
            Unavailable: as begin.
        """
        with _mapped_errors(), self._reader.begin() as connection:
            if page and connection.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL enable_sort = off"))
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """One transaction that only reads and, unlike `read`, sees one moment on both databases.

        Raises:
            Unavailable: as begin.
        """
        reader = self._reader
        if reader.dialect.name == "postgresql":
            reader = reader.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with _mapped_errors(), reader.begin() as connection:
            yield connection

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for PostgreSQL."""
        url = self._reader.url
        return Path(url.database or "") if url.get_backend_name() == "sqlite" else None

    @contextmanager
    def holding(self, number: int) -> Iterator[None]:
        """Hold PostgreSQL's advisory lock of this number, for hours if need be; waits for it. It belongs to a
        connection of its own and falls with it, and both ends soon notice that the other's machine is gone.

        Raises:
            Unavailable: as begin.
        """
        alive = {f"keepalives_{name}": value for name, value in _KEEPALIVE.items()}
        engine = sa.create_engine(
            self._reader.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT", connect_args=alive
        )
        with _mapped_errors():
            connection = engine.connect()
        try:
            with _mapped_errors():
                for name, value in _KEEPALIVE.items():
                    connection.execute(sa.text(f"SET tcp_keepalives_{name} = {value}"))
                while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one():
                    time.sleep(_LOOK_S)
            yield
        finally:
            connection.close()

    def migrate(self, revision: str | None = None) -> None:
        """Bring the tables to this release's form. Safe when several processes start at once: the second waits.

        A new database gets the tables as they are now; one that an earlier release wrote, what has changed since.

        Args:
            revision: to the form after this migration instead, by migrations alone.

        Raises:
            Unavailable: the database cannot be reached, or a newer Tribrid has written it.
        """
        wanted = revision or newest_revision()
        with self.read() as connection:
            if _revision(connection) == wanted:
                return
        with self.begin() as connection:  # on SQLite, BEGIN IMMEDIATE is the lock
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if revision is None and _revision(connection) is None:
                metadata.create_all(connection)  # the package imports every module of tables
                _VERSION.create(connection)
                connection.execute(_VERSION.insert().values(version_num=wanted))
            else:
                _upgrade(connection, wanted)

    @property
    def is_shared(self) -> bool:
        """Whether processes that do not see this folder may use it too."""
        return self._reader.dialect.name != "sqlite"

    def check_writable(self) -> None:
        """Pass if a transaction can be committed. One that another keeps waiting is one that the database takes.

        Raises:
            Unavailable: the database cannot be reached, is full, or may not be written.
        """
        if self._reader.dialect.name != "sqlite":
            with self.read() as connection:
                if connection.execute(sa.text("SHOW transaction_read_only")).scalar() == "on":
                    raise Unavailable("The database may be read only.")
            return
        with _mapped_errors(), closing(self._reader.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                version = cursor.execute("PRAGMA user_version").fetchone()[0]
                cursor.execute(f"PRAGMA user_version = {version}")  # writes a page, and changes nothing
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise Unavailable(f"The database cannot be written: {error}.") from error
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
                cursor.close()

    def forget(self) -> None:
        """Empty SQLite's write-ahead log, where what was deleted can be read until it is written over.

        Where others read all the time it may not come to it within `FORGET_TIMEOUT_S`; the last to close the file does
        it then.
        """
        if self._reader.dialect.name != "sqlite":
            return
        with _mapped_errors(), closing(self._reader.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {FORGET_TIMEOUT_S * 1000}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
            cursor.close()

    def close(self) -> None:
        self._reader.dispose()
