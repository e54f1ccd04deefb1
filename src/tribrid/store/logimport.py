"""Bulk writing of impressions and feedback: batch by batch, each in a transaction of its own.

Whatever is stored already is left as it is, so an import can be repeated, or taken up again after a crash. Rows that
come in the order of their query_id are written at a rate that does not fall as the table grows: their places in its
indexes are then next to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa

from tribrid.errors import NotShown, QueryNotFound
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.store.logrows import feedback_row, impression_of, impression_row
from tribrid.types import Feedback, Impression, ImpressionSource, LegScore

# Rows per transaction: enough to be fast, few enough that a search can log in between.
BATCH_ROWS = 2000
# Rows per statement. Each is some hundred small objects: so few that they are gone before Python's garbage collector
# takes them for old ones, of which it looks at all again and again.
INSERT_ROWS = 200
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c
_NO_LEGS: Mapping[str, LegScore] = {}


class NewList(NamedTuple):
    """An impression to be stored, with its feedback: cut down to what differs between imported ones, for there may be
    millions. Of each place of `shown`: doc_id, rank, score, and the span of its passage (0, 0: not known).
    """

    query_id: str
    query: str
    shown: Sequence[tuple[str, int, float, int, int]]
    created_us: int
    model_id: str
    source: ImpressionSource = "import"
    client_id: str | None = None
    feedback: Sequence[Feedback] = ()

    def row(self, corpus_id: str) -> dict[str, object]:
        """Its row; as `impression_row`."""
        return {
            "query_id": self.query_id,
            "corpus_id": corpus_id,
            "query": self.query,
            "shown": [(*place, _NO_LEGS) for place in self.shown],
            "model_id": self.model_id,
            "reranked": False,
            "fallback_reason": None,
            "took_ms": 0.0,
            "created_us": self.created_us,
            "source": self.source,
            "client_id": self.client_id,
        }


@dataclass(frozen=True, slots=True)
class FeedbackImport:
    """What became of imported feedback. `rejected` holds (position in the import, code): the position starts at 0,
    the code is "query_not_found" or "not_shown". `known` rows were there already.
    """

    added: int = 0
    known: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ListsImport:
    """What became of imported lists. `impressions` are the new ones; `feedback` tells of all their feedback together,
    in the order it was given.
    """

    impressions: int
    feedback: FeedbackImport


class LogImports:
    """The part of the log that takes many rows at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_impressions(self, impressions: Iterable[Impression]) -> int:
        """Store many, 2000 a transaction; how many were new. A query_id its corpus already has is left as it is.

        Raises:
            CorpusNotFound: there is no such corpus (batches before that one are stored).
        """
        added = 0
        for batch in batches(impressions, BATCH_ROWS):
            with self._database.begin() as connection:
                for corpus_id in sorted({impression.corpus_id for impression in batch}):
                    require_corpus(connection, corpus_id)
                added += _insert(connection, map(impression_row, batch))
        return added

    def add_feedbacks(self, corpus_id: str, feedbacks: Iterable[Feedback]) -> FeedbackImport:
        """Join imported signals to the corpus's impressions and store those that fit, 2000 a transaction. A signal
        equal to a stored one in every field is the same signal.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        added, known = 0, 0
        rejected: list[tuple[int, str]] = []
        for batch in batches(enumerate(feedbacks), BATCH_ROWS):
            with self._database.begin() as connection:
                require_corpus(connection, corpus_id, alone=True)
                served = _served(connection, corpus_id, {feedback.query_id for _, feedback in batch})
                done = _add(connection, batch, served)
            added, known = added + done.added, known + done.known
            rejected += done.rejected
        return FeedbackImport(added, known, rejected)

    def add_lists(self, corpus_id: str, lists: Sequence[NewList]) -> ListsImport:
        """Store impressions of one corpus with their feedback, all in one transaction: some thousands at a time.

        An impression that is stored already is left as it is, and the feedback joined to what is stored.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        by_id = {new.query_id: new for new in reversed(lists)}
        signals = list(enumerate(feedback for new in lists for feedback in new.feedback))
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            stored = _served(connection, corpus_id, by_id)
            before = connection.execute(sa.select(sa.func.max(_IMPRESSION.impression_number))).scalar_one() or 0
            free = [new for new in by_id.values() if new.query_id not in stored]
            added = _insert(connection, (new.row(corpus_id) for new in free))
            if added < len(free):  # another import was faster
                return ListsImport(added, _add(connection, signals, _served(connection, corpus_id, by_id)))
            numbers = _numbers(connection, _IMPRESSION.impression_number > before)
            wanted = {feedback.query_id for _, feedback in signals}
            fresh = {
                new.query_id: (numbers[new.query_id], frozenset(place[0] for place in new.shown))
                for new in free
                if new.query_id in wanted
            }
            bare = frozenset(number for number, _ in fresh.values())
            return ListsImport(added, _add(connection, signals, stored | fresh, bare))

    def lists(self, corpus_id: str, query_ids: Iterable[str]) -> dict[str, Impression]:
        """Those of the query_ids that stand for a list of the corpus, with it."""
        found: dict[str, Impression] = {}
        with self._database.read() as connection:
            for batch in batches(query_ids, BATCH_ROWS):
                these = sa.select(tables.impressions).where(_these(corpus_id, batch))
                found.update((row.query_id, impression_of(row)) for row in connection.execute(these))
        return found

    def known(self, corpus_id: str, query_ids: Iterable[str]) -> set[str]:
        """Those of the query_ids that stand for a list of the corpus."""
        with self._database.read() as connection:
            return {
                query_id
                for batch in batches(query_ids, BATCH_ROWS)
                for query_id in _numbers(connection, _these(corpus_id, batch))
            }


_Served = Mapping[str, tuple[int, frozenset[str]]]
"""query_id → the number of its impression, and the documents that were shown."""


def _these(corpus_id: str, query_ids: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.query_id.in_(query_ids))


def _insert(connection: sa.Connection, rows: Iterable[dict[str, object]]) -> int:
    """Store the impressions whose query_id is free; how many were."""
    new = insert_into(connection, tables.impressions).on_conflict_do_nothing(index_elements=["corpus_id", "query_id"])
    # Without the option, SQLAlchemy forgets how many rows an INSERT made before one can ask.
    options = {"preserve_rowcount": True}
    return sum(connection.execute(new, some, execution_options=options).rowcount for some in batches(rows, INSERT_ROWS))


def _numbers(connection: sa.Connection, these: sa.ColumnElement[bool]) -> dict[str, int]:
    found = connection.execute(sa.select(_IMPRESSION.query_id, _IMPRESSION.impression_number).where(these))
    return {row[0]: row[1] for row in found}


def _served(
    connection: sa.Connection, corpus_id: str, query_ids: Iterable[str]
) -> dict[str, tuple[int, frozenset[str]]]:
    found = sa.select(_IMPRESSION.query_id, _IMPRESSION.impression_number, _IMPRESSION.shown)
    rows = connection.execute(found.where(_these(corpus_id, query_ids)))
    return {row.query_id: (row.impression_number, frozenset(doc[0] for doc in row.shown)) for row in rows}


def _add(
    connection: sa.Connection,
    signals: Sequence[tuple[int, Feedback]],
    served: _Served,
    bare: frozenset[int] = frozenset(),
) -> FeedbackImport:
    """Store the signals that fit what was served. `bare`: numbers of impressions that have no feedback yet."""
    rows: list[dict[str, object]] = []
    refused: list[tuple[int, str]] = []
    for position, feedback in signals:
        number, shown = served.get(feedback.query_id, (None, frozenset[str]()))
        if number is None:
            refused.append((position, QueryNotFound.code))
        elif feedback.doc_id is not None and feedback.doc_id not in shown:
            refused.append((position, NotShown.code))
        else:
            rows.append(feedback_row(number, feedback))
    fresh = _without_stored(connection, rows, bare)
    if fresh:
        connection.execute(sa.insert(tables.feedback), fresh)
    return FeedbackImport(len(fresh), len(rows) - len(fresh), refused)


def _without_stored(
    connection: sa.Connection, rows: Sequence[dict[str, object]], bare: frozenset[int]
) -> list[dict[str, object]]:
    """The rows that are neither stored nor earlier in the list."""
    fresh = {_identity(row): row for row in rows}
    numbers = {row["impression_number"] for row in rows} - bare
    if numbers:
        stored = sa.select(tables.feedback).where(_FEEDBACK.impression_number.in_(numbers))
        for row in connection.execute(stored):
            fresh.pop(_identity(row._mapping), None)
    return list(fresh.values())


def _identity(row: Mapping[str, object] | sa.RowMapping) -> tuple[object, ...]:
    return tuple(row[name] for name in ("impression_number", "signal", "doc_id", "value", "created_us"))
