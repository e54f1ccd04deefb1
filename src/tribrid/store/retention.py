"""Deletes what is too old to keep: searches with their feedback."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.database import Database

BATCH_ROWS = 1000
_IMPRESSION = tables.impressions.c


class Retention:
    """What the log no longer holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune(self, corpus_id: str, before_us: int) -> int:
        """Delete searches from before that time, `BATCH_ROWS` at most, oldest first; how many went.

        A transaction is short, so that searches go on meanwhile: call it until it returns 0.
        """
        old = (
            sa.select(_IMPRESSION.impression_number)
            .where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.created_us < before_us)
            .order_by(_IMPRESSION.created_us, _IMPRESSION.impression_number)
            .limit(BATCH_ROWS)
        )
        with self._database.begin() as connection:
            numbers = list(connection.execute(old).scalars())
            if numbers:  # their feedback goes with them
                connection.execute(sa.delete(tables.impressions).where(_IMPRESSION.impression_number.in_(numbers)))
        return len(numbers)
