"""Deletes what is too old to keep: searches with their feedback."""

from __future__ import annotations

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database
from tribrid.store.segment_erasing import erase
from tribrid.store.segments import Segments, listed
from tribrid.store.tables_segments import log_segments

BATCH_ROWS = 1000
_IMPRESSION = tables.impressions.c


class Retention:
    """What the log no longer holds."""

    def __init__(self, database: Database, segments: Segments) -> None:
        self._database, self._segments = database, segments

    def prune(self, corpus_id: str, before_us: int) -> int:
        """Delete searches from before that time; how many went: `BATCH_ROWS` rows at most, oldest first, and once
        there are no more of them, a segment's.

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
            require_corpus(connection, corpus_id, alone=True)
            gone = self._segment(connection, corpus_id, before_us)
        self._segments.remove_dropped()
        return gone

    def _segment(self, connection: sa.Connection, corpus_id: str, before_us: int) -> int:
        """Delete what one segment has of before that time; how many lists."""
        old = log_segments.c.first_us < before_us
        first = next(iter(listed(connection, corpus_id, old)), None)
        if first is None:
            return 0
        with self._segments.reading(connection, corpus_id, log_segments.c.segment_number == first.segment_number) as it:
            return erase(self._segments, connection, it, "created_us < ?", before_us).lists if it else 0
