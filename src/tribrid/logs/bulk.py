"""What leaves no doubt of a large log: joined by DuckDB, and stored as segments.

A query_id is plain if one query record stands for it, each of its events names one document that this record showed and
claims no other query, no event comes twice, and of list and events either nothing is stored yet or, in a segment, all.
Every other is for `join.py`, which knows what to make of it, and says why events join nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tribrid.errors import Unavailable
from tribrid.logs.join import LogJoin
from tribrid.logs.tally import Tally
from tribrid.store.columns import Columns
from tribrid.store.logimport import FeedbackImport, ListsImport
from tribrid.store.segments import Seen, Written
from tribrid.workspace.corpus import OpenCorpus

LEAST_LISTS = 10_000
"""With fewer, a log's lists are rows like those of searches: small files are many, and slow to read."""
SEGMENT_LISTS = 250_000
"""The most in one segment: an erasure writes anew what it touches."""
_TRIES = 5
DOUBTFUL, SETTLED = "doubtful", "settled"

_DOUBTS = (
    # Several records, or one that shows nothing, or a document twice.
    "SELECT query_id FROM served GROUP BY query_id HAVING count(*) > 1",
    "SELECT query_id FROM served WHERE len(doc_ids) = 0 OR len(list_distinct(doc_ids)) < len(doc_ids)",
    # Events that do not name one document, and those that came twice.
    "SELECT query_id FROM acted WHERE signal IS NULL OR doc_id IS NULL OR other_ids IS NOT NULL OR at_us IS NULL",
    "SELECT query_id FROM acted GROUP BY query_id, signal, doc_id, at_us HAVING count(*) > 1",
    # Events without a record, or with another.
    "SELECT query_id FROM acted ANTI JOIN served USING (query_id)",
    """SELECT query_id FROM acted JOIN served USING (query_id)
    WHERE NOT list_contains(doc_ids, doc_id) OR acted.query <> served.query""",
    "SELECT query_id FROM stored WHERE NOT kept",
)
# What is in a segment already is settled as well, if each of its events is.
_KNOWN = """
    SELECT acted.seq FROM acted JOIN lists USING (query_id) JOIN acts USING (segment, list_number)
    WHERE acts.signal = acted.signal AND acts.doc_id = acted.doc_id AND acts.created_us = acted.at_us
    AND acts.value IS NOT DISTINCT FROM acted.value
"""
_GOES_ON = f"""
    SELECT DISTINCT query_id FROM acted SEMI JOIN (SELECT query_id FROM stored WHERE kept) USING (query_id)
    ANTI JOIN ({_KNOWN}) AS known USING (seq)
"""
_ORDER = f"""
    CREATE OR REPLACE TABLE ordered AS
    SELECT seq, query_id, (row_number() OVER (ORDER BY at_us, query_id) - 1)::INT AS place
    FROM served ANTI JOIN {DOUBTFUL} USING (query_id) ANTI JOIN stored USING (query_id)
"""
_SETTLED = f"""
    CREATE OR REPLACE TABLE {SETTLED} AS SELECT query_id, true AS is_new FROM ordered UNION ALL
    SELECT query_id, false FROM served SEMI JOIN stored USING (query_id) ANTI JOIN {DOUBTFUL} USING (query_id)
"""


class Bulk:
    """The plain part of a log that was read."""

    def __init__(self, corpus: OpenCorpus, log: LogJoin) -> None:
        self._corpus, self._log = corpus, log
        self._columns: Columns = log.records.columns
        self._seen: Seen | None = None
        # New lists; events, those that were there before, and all records of what is settled.
        self.lists = self.acts = self.known = self.records = 0

    @property
    def is_large(self) -> bool:
        """Whether the log is worth a segment, and everybody could read it."""
        if not self._corpus.store.segments.are_for_all:
            return False
        self._log.records.flush()
        (served,) = self._columns.one("SELECT count(*) FROM served")
        return bool(served >= LEAST_LISTS)

    def split(self) -> None:
        """Tell what is plain from the rest: fills the tables `settled`, and of it `ordered`, what is new."""
        columns, logs = self._columns, self._corpus.store.logs
        self._seen = logs.copy_query_ids(self._corpus.corpus_id, columns, "stored", "SELECT query_id FROM served")
        doubts = [*_DOUBTS, *([_GOES_ON] if self._seen.segments else [])]
        every = " UNION ALL ".join(f"({doubt})" for doubt in doubts)
        columns.run(f"CREATE OR REPLACE TABLE {DOUBTFUL} AS SELECT DISTINCT query_id FROM ({every})")
        columns.run(_ORDER)
        columns.run(_SETTLED)
        (self.lists,) = columns.one("SELECT count(*) FROM ordered")
        counted = f"SELECT count(*), count(*) FILTER (NOT is_new) FROM acted JOIN {SETTLED} USING (query_id)"
        self.acts, self.known = columns.one(counted)
        (settled,) = columns.one(f"SELECT count(*) FROM {SETTLED}")
        self.records = settled + self.acts

    def named(self) -> Iterator[tuple[str, int]]:
        """The documents that its events name, in the order of query_ids, each with how many events."""
        return self._columns.each(
            "SELECT doc_id, count(*) FROM acted SEMI JOIN settled USING (query_id) GROUP BY doc_id "
            "ORDER BY min((query_id, seq))"
        )

    def store(self, tally: Tally) -> None:
        """Store it as segments, which are listed all at once.

        Raises:
            CorpusNotFound: there is no such corpus.
            Unavailable: the disk is full; nothing was stored.
        """
        for _ in range(_TRIES):
            written: list[Written] = []
            try:
                written.extend(self._segments())  # those before one that fails are in it
                listed = self._list(written)
            except BaseException:
                self._forget(written)
                raise
            if listed:
                added = sum(one.acts for one in written)
                tally.store(ListsImport(self.lists, FeedbackImport(added, self.known)))
                return
            self._forget(written)
            self.split()
        raise Unavailable("Other imports store lists of these query_ids all the time. Try again.")

    def _list(self, written: Sequence[Written]) -> bool:
        """Whether they could be listed: not, if somebody else stored lists of these query_ids meanwhile."""
        if self._seen is None or not written:
            return True
        logs, corpus_id = self._corpus.store.logs, self._corpus.corpus_id
        return logs.list_segments(corpus_id, written, self._seen, self._columns, "ordered")

    def _segments(self) -> Iterator[Written]:
        segments = self._corpus.store.segments
        for first in range(0, self.lists, SEGMENT_LISTS):
            these = f"place BETWEEN {first} AND {first + SEGMENT_LISTS - 1}"
            own = f"place - {first} AS list_number"
            written = segments.write(
                self._columns,
                f"SELECT {own}, served.query_id, query, doc_ids, ranks, scores, at_us AS created_us, client_id "
                f"FROM served JOIN (SELECT seq, place FROM ordered WHERE {these}) USING (seq)",
                f"SELECT {own}, signal, doc_id, value, at_us AS created_us, acted.seq AS act "
                f"FROM acted JOIN (SELECT query_id, place FROM ordered WHERE {these}) USING (query_id)",
            )
            if written:
                yield written

    def _forget(self, written: list[Written]) -> None:
        for one in written:
            self._corpus.store.segments.forget(one)
