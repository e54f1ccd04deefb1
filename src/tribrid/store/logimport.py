"""Bulk writing of impressions and feedback: batch by batch, each in a transaction of its own.

Whatever is stored already is left as it is, so an import can be repeated, or taken up again after a crash. Rows that
come in the order of their query_id are written at a rate that does not fall as the table grows: their places in its
indexes are then next to each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa

from tribrid.errors import NotShown, QueryNotFound
from tribrid.store import tables
from tribrid.store.columns import Columns
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.store.logrows import feedback_row, impression_of, impression_row, late_row
from tribrid.store.segment_reading import ListKey, acts_of, find_all
from tribrid.store.segments import Reading, Seen, Segments, Written, add, listed
from tribrid.store.tables_segments import late_feedback, log_segments
from tribrid.types import Feedback, Impression, ImpressionSource, LegScore

# Rows per transaction: enough to be fast, few enough that a search can log in between.
BATCH_ROWS = 2000
# Rows per statement. Each is some hundred small objects: so few that they are gone before Python's garbage collector
# takes them for old ones, of which it looks at all again and again.
INSERT_ROWS = 200
_COPIED_ROWS = 100_000
MOST_LATE = 50_000
"""Rows of feedback that came after their segments."""
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c
_LATE = late_feedback.c
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

    def __init__(self, database: Database, segments: Segments) -> None:
        self._database, self._segments = database, segments

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
                added += insert_impressions(connection, map(impression_row, batch))
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
                with self._segments.reading(connection, corpus_id) as reading:
                    served = _served(connection, reading, corpus_id, {feedback.query_id for _, feedback in batch})
                    done = _add(connection, reading, batch, served)
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
            with self._segments.reading(connection, corpus_id) as reading:
                stored = _served(connection, reading, corpus_id, by_id)
                before = connection.execute(sa.select(sa.func.max(_IMPRESSION.impression_number))).scalar_one() or 0
                free = [new for new in by_id.values() if new.query_id not in stored]
                added = insert_impressions(connection, (new.row(corpus_id) for new in free))
                if added < len(free):  # another import was faster
                    served = _served(connection, reading, corpus_id, by_id)
                    return ListsImport(added, _add(connection, reading, signals, served))
                numbers = _numbers(connection, _IMPRESSION.impression_number > before)
                wanted = {feedback.query_id for _, feedback in signals}
                fresh: dict[str, tuple[Place, frozenset[str]]] = {
                    new.query_id: (numbers[new.query_id], frozenset(place[0] for place in new.shown))
                    for new in free
                    if new.query_id in wanted
                }
                bare = frozenset(place for place, _ in fresh.values())
                return ListsImport(added, _add(connection, reading, signals, {**stored, **fresh}, bare))

    def lists(self, corpus_id: str, query_ids: Collection[str]) -> dict[str, Impression]:
        """Those of the query_ids that stand for a list of the corpus, with it."""
        found: dict[str, Impression] = {}
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            if reading:
                found = {query_id: kept.impression for query_id, kept in find_all(reading, query_ids).items()}
            for batch in batches(query_ids, BATCH_ROWS):
                these = sa.select(tables.impressions).where(_these(corpus_id, batch))
                found.update((row.query_id, impression_of(row)) for row in connection.execute(these))
        return found

    def known(self, corpus_id: str, query_ids: Collection[str]) -> set[str]:
        """Those of the query_ids that stand for a list of the corpus."""
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            return {
                *(find_all(reading, query_ids) if reading else ()),
                *(
                    query_id
                    for batch in batches(query_ids, BATCH_ROWS)
                    for query_id in _numbers(connection, _these(corpus_id, batch))
                ),
            }

    def copy_query_ids(self, corpus_id: str, columns: Columns, table: str, these: str) -> Seen:
        """Put into a table of a connection those of its query_ids that stand for a list of the corpus, and whether that
        is in a segment; where there are segments, the connection gets their views.

        Args:
            these: what gives the query_ids.
        """
        columns.run(f"CREATE OR REPLACE TABLE {table} (query_id VARCHAR, kept BOOLEAN)")
        own = sa.select(_IMPRESSION.query_id).where(_IMPRESSION.corpus_id == corpus_id)
        with self._database.read() as connection:
            segments = listed(connection, corpus_id)
            last = connection.execute(sa.select(sa.func.max(_IMPRESSION.impression_number))).scalar() or 0
            rows = connection.execute(own.execution_options(yield_per=BATCH_ROWS)).scalars()
            for batch in batches(rows, _COPIED_ROWS):
                columns.table("copied", {"query_id": ("text", batch)})
                columns.run(
                    f"INSERT INTO {table} SELECT query_id, false FROM copied SEMI JOIN ({these}) USING (query_id)"
                )
            if segments:
                self._segments.views(connection, columns, segments)
                columns.run(
                    f"INSERT INTO {table} SELECT query_id, true FROM lists SEMI JOIN ({these}) USING (query_id)"
                )
        return Seen(last, tuple(segments))

    def fold_late(self, corpus_id: str) -> None:
        """Write the segments of a corpus anew to which much feedback came late: every reader reads that row by row."""
        of = sa.select(_LATE.segment_number, sa.func.count()).group_by(_LATE.segment_number)
        own = of.join_from(late_feedback, log_segments).where(log_segments.c.corpus_id == corpus_id)
        with self._database.read() as connection:
            late = {row[0]: row[1] for row in connection.execute(own)}
        if sum(late.values()) < MOST_LATE:
            return
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            with self._segments.reading(connection, corpus_id) as reading:
                for segment in reading.segments if reading else ():
                    if reading and segment.segment_number in late:
                        this = f"WHERE segment = {segment.segment_number}"
                        lists, acts = f"SELECT * FROM lists {this}", f"SELECT * FROM acts {this}"
                        self._segments.rewrite(connection, reading, segment, lists, acts)
        self._segments.remove_dropped()

    def list_segments(
        self, corpus_id: str, written: Sequence[Written], seen: Seen, columns: Columns, table: str
    ) -> bool:
        """List segments; not, if a list of one of their query_ids was stored after it was looked for.

        Args:
            seen: what `copy_query_ids` saw.
            table: of the connection: has their query_ids.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        later = (_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.impression_number > seen.last_impression)
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if tuple(listed(connection, corpus_id)) != seen.segments:
                return False
            new = list(connection.execute(sa.select(_IMPRESSION.query_id).where(*later)).scalars())
            columns.table("later", {"query_id": ("text", new)})
            if new and columns.rows(f"SELECT 1 FROM later SEMI JOIN {table} USING (query_id) LIMIT 1"):
                return False
            add(connection, corpus_id, written)
            return True


Place = int | ListKey
"""What a list is known by: the number of its row, or its place in a segment."""
_Served = Mapping[str, tuple[Place, frozenset[str]]]
"""query_id → its list, and the documents that were shown."""


def _these(corpus_id: str, query_ids: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.query_id.in_(query_ids))


def insert_impressions(connection: sa.Connection, rows: Iterable[dict[str, object]]) -> int:
    """Store the impressions whose query_id is free; how many were."""
    new = insert_into(connection, tables.impressions).on_conflict_do_nothing(index_elements=["corpus_id", "query_id"])
    # Without the option, SQLAlchemy forgets how many rows an INSERT made before one can ask.
    options = {"preserve_rowcount": True}
    return sum(connection.execute(new, some, execution_options=options).rowcount for some in batches(rows, INSERT_ROWS))


def _numbers(connection: sa.Connection, these: sa.ColumnElement[bool]) -> dict[str, int]:
    found = connection.execute(sa.select(_IMPRESSION.query_id, _IMPRESSION.impression_number).where(these))
    return {row[0]: row[1] for row in found}


def _served(
    connection: sa.Connection, reading: Reading | None, corpus_id: str, query_ids: Collection[str]
) -> dict[str, tuple[Place, frozenset[str]]]:
    found: dict[str, tuple[Place, frozenset[str]]] = {}
    for query_id, kept in (find_all(reading, query_ids) if reading else {}).items():
        found[query_id] = (kept.key, frozenset(doc.doc_id for doc in kept.impression.shown))
    these = sa.select(_IMPRESSION.query_id, _IMPRESSION.impression_number, _IMPRESSION.shown)
    for row in connection.execute(these.where(_these(corpus_id, query_ids))):
        found[row.query_id] = (row.impression_number, frozenset(doc[0] for doc in row.shown))
    return found


def _add(
    connection: sa.Connection,
    reading: Reading | None,
    signals: Sequence[tuple[int, Feedback]],
    served: _Served,
    bare: frozenset[Place] = frozenset(),
) -> FeedbackImport:
    """Store the signals that fit what was served. `bare`: lists that have no feedback yet."""
    given, refused = _placed(signals, served)
    fresh = {_identity(place, feedback): (place, feedback) for place, feedback in given}
    for known in _stored(connection, reading, {place for place, _ in given} - bare):
        fresh.pop(known, None)
    rows = [feedback_row(place, feedback) for place, feedback in fresh.values() if isinstance(place, int)]
    late = [late_row(place, feedback) for place, feedback in fresh.values() if isinstance(place, ListKey)]
    for table, new in ((tables.feedback, rows), (late_feedback, late)):
        if new:
            connection.execute(sa.insert(table), new)
    return FeedbackImport(len(fresh), len(given) - len(fresh), refused)


def _placed(
    signals: Sequence[tuple[int, Feedback]], served: _Served
) -> tuple[list[tuple[Place, Feedback]], list[tuple[int, str]]]:
    """The signals that fit, each with its list; and of those that do not, the position and why."""
    given: list[tuple[Place, Feedback]] = []
    refused: list[tuple[int, str]] = []
    for position, feedback in signals:
        place, shown = served.get(feedback.query_id, (None, frozenset[str]()))
        if place is None:
            refused.append((position, QueryNotFound.code))
        elif feedback.doc_id is not None and feedback.doc_id not in shown:
            refused.append((position, NotShown.code))
        else:
            given.append((place, feedback))
    return given, refused


_Identity = tuple[Place, str, str | None, float | None, int]


def _identity(place: Place, feedback: Feedback) -> _Identity:
    return (place, str(feedback.signal), feedback.doc_id, feedback.value, feedback.created_us)


def _stored(connection: sa.Connection, reading: Reading | None, places: Collection[Place]) -> Iterator[_Identity]:
    """What was done with these lists before."""
    numbers = [place for place in places if isinstance(place, int)]
    if numbers:
        columns = (_FEEDBACK.signal, _FEEDBACK.doc_id, _FEEDBACK.value, _FEEDBACK.created_us)
        these = sa.select(_FEEDBACK.impression_number, *columns).where(_FEEDBACK.impression_number.in_(numbers))
        yield from ((row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(these))
    keys = [place for place in places if isinstance(place, ListKey)]
    if keys and reading:
        yield from acts_of(reading, keys)
