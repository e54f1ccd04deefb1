"""Which state of each corpus's index every machine serves: one name a corpus, moved from one that is known."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.errors import Conflict
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into
from tribrid.store.tables_shared import published_indexes

_PUBLISHED = published_indexes.c


class Publications:
    """The published states of all indexes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, corpus_id: str) -> str | None:
        """The state's name; None where nothing is published."""
        with self._database.read() as connection:
            found = sa.select(_PUBLISHED.state).where(_PUBLISHED.corpus_id == corpus_id)
            return connection.execute(found).scalar_one_or_none()

    def all(self) -> dict[str, str]:
        """Every corpus's, where it has one."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(_PUBLISHED.corpus_id, _PUBLISHED.state))
            return {row.corpus_id: row.state for row in rows}

    def move(self, corpus_id: str, before: str | None, state: str) -> None:
        """Serve another state, if the one before is what the new one was made of.

        Raises:
            CorpusNotFound: the corpus is gone.
            Conflict: somebody else has published meanwhile. A writer that lost its lock hears it here.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if before is None:
                new = insert_into(connection, published_indexes).values(corpus_id=corpus_id, state=state)
                moved = new.on_conflict_do_nothing(index_elements=["corpus_id"]).returning(_PUBLISHED.state)
                done = connection.execute(moved).first()
            else:
                here = (_PUBLISHED.corpus_id == corpus_id, _PUBLISHED.state == before)
                change = sa.update(published_indexes).where(*here).values(state=state)
                done = connection.execute(change.returning(_PUBLISHED.state)).first()
            if done is None:
                raise Conflict(
                    f"Another machine published an index of {corpus_id!r} meanwhile: index it again.",
                    corpus_id=corpus_id,
                )
