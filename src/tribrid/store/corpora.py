"""Corpora: the row that everything else of a corpus hangs on, and the lock that its writers share."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass

import sqlalchemy as sa

from tribrid.errors import CorpusExists, CorpusNotFound, InvalidInput
from tribrid.store import tables
from tribrid.store.database import Database, now_us
from tribrid.store.tables_segments import dropped_artifacts, log_segments

MAX_CORPUS_ID_CHARS = 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Every write to a corpus asks this. FOR NO KEY UPDATE excludes its like, and lets FOR KEY SHARE (which any reference
# takes) pass.
_CORPUS = sa.select(tables.corpora.c.corpus_id).where(tables.corpora.c.corpus_id == sa.bindparam("corpus_id"))
_THERE, _ALONE = (_CORPUS.with_for_update(key_share=True, read=read) for read in (True, False))


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """`version` goes up by one with every change of a document."""

    corpus_id: str
    name: str
    version: int
    created_us: int


def check_id(name: str, value: str, max_chars: int) -> None:
    """Refuse an id that could not be a file name everywhere: `[A-Za-z0-9][A-Za-z0-9._-]*`, 1..max_chars characters.

    Args:
        name: what the id is called in the message, such as "corpus_id".

    Raises:
        InvalidInput: the id does not fit.
    """
    if len(value) > max_chars or not _ID.fullmatch(value):
        raise InvalidInput(
            f"{name} must be 1 to {max_chars} letters, digits, '.', '_' or '-', and begin with a letter or a digit.",
            field=name,
        )


def require_corpus(connection: sa.Connection, corpus_id: str, *, alone: bool = False) -> None:
    """Check that the corpus is there, and keep it there until the transaction ends.

    Args:
        alone: also wait for every other writer that asked to be alone: for read-then-write. (On PostgreSQL, a row
            lock; on SQLite every writer is alone anyway.)

    Raises:
        CorpusNotFound: there is no such corpus.
    """
    if connection.execute(_ALONE if alone else _THERE, {"corpus_id": corpus_id}).first() is None:
        raise CorpusNotFound(corpus_id)


def read_corpus(connection: sa.Connection, corpus_id: str) -> CorpusRow:
    """The corpus's row.

    Raises:
        CorpusNotFound: there is no such corpus.
    """
    found = connection.execute(sa.select(tables.corpora).where(tables.corpora.c.corpus_id == corpus_id)).first()
    if found is None:
        raise CorpusNotFound(corpus_id)
    return CorpusRow(**found._mapping)


def bump_version(connection: sa.Connection, corpus_id: str) -> None:
    """Note that the corpus's documents changed."""
    table = tables.corpora
    connection.execute(sa.update(table).where(table.c.corpus_id == corpus_id).values(version=table.c.version + 1))


class Corpora:
    """The corpora, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, corpus_id: str, name: str) -> CorpusRow:
        """Make an empty corpus, at version 0.

        Raises:
            CorpusExists: the id is taken.
            InvalidInput: the id does not fit (see check_id).
        """
        check_id("corpus_id", corpus_id, MAX_CORPUS_ID_CHARS)
        row = CorpusRow(corpus_id, name, version=0, created_us=now_us())
        try:
            with self._database.begin() as connection:
                connection.execute(
                    sa.insert(tables.corpora).values(
                        corpus_id=row.corpus_id, name=row.name, version=row.version, created_us=row.created_us
                    )
                )
        except sa.exc.IntegrityError:
            raise CorpusExists(f"There already is a corpus {corpus_id!r}.", corpus_id=corpus_id) from None
        return row

    def get(self, corpus_id: str) -> CorpusRow:
        """The corpus.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.read() as connection:
            return read_corpus(connection, corpus_id)

    def list(self) -> builtins.list[CorpusRow]:
        """Every corpus, by id."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(tables.corpora).order_by(tables.corpora.c.corpus_id)).all()
        return [CorpusRow(**row._mapping) for row in found]

    def delete(self, corpus_id: str) -> None:
        """Delete the corpus and every row that belongs to it. Models' artifacts stay; `Segments.remove_dropped` removes
        the log's.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            files = sa.select(log_segments.c.artifact).where(log_segments.c.corpus_id == corpus_id)
            connection.execute(sa.insert(dropped_artifacts).from_select(["artifact"], files))
            gone = connection.execute(sa.delete(tables.corpora).where(tables.corpora.c.corpus_id == corpus_id))
        if gone.rowcount == 0:
            raise CorpusNotFound(corpus_id)
