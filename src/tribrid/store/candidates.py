"""Frozen candidate lists, stored under a hash before any model runs, so that systems are compared on one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into, now_us


class Candidates:
    """Candidate lists by key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, key: str, corpus_id: str, payload: Mapping[str, object]) -> None:
        """Freeze the payload under the key; if the key is taken, what it holds stays.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id)
            row = {"key": key, "corpus_id": corpus_id, "payload": payload, "created_us": now_us()}
            connection.execute(insert_into(connection, tables.candidates).on_conflict_do_nothing(), row)

    def get(self, key: str) -> dict[str, Any] | None:
        """What was frozen under the key, None if nothing was."""
        with self._database.read() as connection:
            return connection.execute(
                sa.select(tables.candidates.c.payload).where(tables.candidates.c.key == key)
            ).scalar_one_or_none()
