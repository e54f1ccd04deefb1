"""Locks by name over all processes that share the database: PostgreSQL's advisory ones, or files beside SQLite's.

Whoever dies holds nothing any more: the system frees a file, PostgreSQL the locks of a connection that ended. It
notices within half a minute that a machine went without a word; who may lose a lock so must be guarded otherwise too.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tribrid.private import opener, own_folder
from tribrid.store.database import Database

_HELD = sa.text(
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = :high "
    "AND objid = :low AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Locks:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock; waits while another thread, process or machine holds it.

        Raises:
            Unavailable: the database cannot be reached.
        """
        file = self._database.file
        if file is None:
            with self._database.holding(_number(name)):
                yield
            return
        folder = file.with_name(f"{file.name}-locks")
        own_folder(folder)
        with open(folder / f"{_number(name):x}", "w", opener=opener) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def held(self, name: str) -> bool:
        """Whether somebody holds it now."""
        file = self._database.file
        if file is None:
            # Looked up, never tried: who looks must not keep the lock from who wants it.
            high, low = divmod(_number(name), 1 << 32)
            with self._database.read() as connection:
                return connection.execute(_HELD, {"high": high, "low": low}).first() is not None
        try:
            with (file.with_name(f"{file.name}-locks") / f"{_number(name):x}").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def _number(name: str) -> int:
    """A name's number: 63 bits, which PostgreSQL takes as a key of its own."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
