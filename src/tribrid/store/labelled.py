"""A bounded look at what there is to learn from: never the whole log, whatever its length."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tribrid.store import segment_counts, tables
from tribrid.store.database import Database
from tribrid.store.segments import Segments
from tribrid.types import Feedback, JudgedQuery, Signal

_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c
_JUDGED = tables.judged_queries.c


@dataclass(frozen=True, slots=True)
class RecentLog:
    """The newest searches of a corpus.

    Attributes:
        impressions: how many were looked at.
        whole: whether these are all there are.
        used: query text and what was done with a document of its list.
    """

    impressions: int
    whole: bool
    used: list[tuple[str, Feedback]]


class Labelled:
    """Samples of labels, by corpus."""

    def __init__(self, database: Database, segments: Segments) -> None:
        self._database, self._segments = database, segments

    def log(self, corpus_id: str, most: int, held_out: tuple[int, int] | None = None) -> RecentLog:
        """The newest `most` searches that mining would learn from, and what users did with their documents.

        Args:
            held_out: the span that mining does not read: its first moment, and the first after it.
        """
        since_us, until_us = span = held_out or (0, 0)
        outside = sa.or_(_IMPRESSION.created_us < since_us, _IMPRESSION.created_us >= until_us)
        columns = (_IMPRESSION.impression_number, _IMPRESSION.query_id, _IMPRESSION.query, _IMPRESSION.created_us)
        newest = (
            sa.select(*columns)
            .where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.fallback_reason.is_(None), outside)
            .order_by(_IMPRESSION.created_us.desc(), _IMPRESSION.impression_number.desc())
            .limit(most + 1)
        ).subquery()
        number = newest.c.impression_number
        done = (
            sa.select(newest.c.query, newest.c.query_id, tables.feedback)
            .join_from(newest, tables.feedback, _FEEDBACK.impression_number == number)
            .where(_FEEDBACK.doc_id.is_not(None))
        )
        with self._database.read(page=True) as connection, self._segments.reading(connection, corpus_id) as reading:
            if reading is None:
                found = connection.execute(sa.select(sa.func.count()).select_from(newest)).scalar_one()
                used = [(row.query, _feedback(row)) for row in connection.execute(done)]
                return RecentLog(min(found, most), found <= most, used)
            rows = connection.execute(sa.select(newest.c.created_us)).scalars()
            times = sorted([*rows, *segment_counts.times(reading, span, most + 1)], reverse=True)[: most + 1]
            from_us = times[-1] if times else 0
            used = [
                (row.query, _feedback(row)) for row in connection.execute(done.where(newest.c.created_us >= from_us))
            ]
            for query, query_id, signal, *rest in segment_counts.acts_since(reading, span, from_us):
                used.append((query, Feedback(query_id, Signal(signal), *rest)))
        return RecentLog(min(len(times), most), len(times) <= most, used)

    def judged(self, corpus_id: str, most: int) -> builtins.list[JudgedQuery]:
        """The first `most` judged queries, by query_id."""
        these = sa.select(_JUDGED.query_id, _JUDGED.text, _JUDGED.judgments).where(_JUDGED.corpus_id == corpus_id)
        with self._database.read() as connection:
            rows: Iterator[sa.Row[Any]] = iter(connection.execute(these.order_by(_JUDGED.query_id).limit(most)))
            return [JudgedQuery(**row._mapping) for row in rows]


def _feedback(row: sa.Row[Any]) -> Feedback:
    return Feedback(row.query_id, Signal(row.signal), row.doc_id, row.value, row.created_us)
