"""Uploads and erasures that no index has followed yet, for whichever machine ends them."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database
from tribrid.store.tables_shared import unfinished_work

_WORK = unfinished_work.c


class Unfinished:
    """The marks of all corpora."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, mark: str, corpus_id: str, kind: str) -> None:
        """Mark a corpus.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            row = {"mark": mark, "corpus_id": corpus_id, "kind": kind}
            connection.execute(sa.insert(unfinished_work).values(row))

    def of(self, corpus_id: str) -> list[tuple[str, str]]:
        """A corpus's marks, each with its kind."""
        with self._database.read() as connection:
            found = sa.select(_WORK.mark, _WORK.kind).where(_WORK.corpus_id == corpus_id)
            return [(row.mark, row.kind) for row in connection.execute(found)]

    def remove(self, mark: str) -> None:
        """Take a mark away; one that is gone is no error."""
        with self._database.begin() as connection:
            connection.execute(sa.delete(unfinished_work).where(_WORK.mark == mark))
