"""What leaves no doubt of a large log: joined by DuckDB, and stored as segments.

A query_id is plain if one query record stands for it, each of its events names one document that this record showed and
claims no other query, no event comes twice, and no list is stored under it yet. All others are for `join.py`, which
knows what to make of them, and says why events join nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

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
DOUBTFUL = "doubtful"

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
    "SELECT query_id FROM stored",
)
_ORDER = f"""
    CREATE OR REPLACE TABLE ordered AS
    SELECT seq, query_id, (row_number() OVER (ORDER BY at_us, query_id) - 1)::INT AS place
    FROM served WHERE query_id NOT IN (SELECT query_id FROM {DOUBTFUL})
"""


class Bulk:
    """The plain part of a log that was read."""

    def __init__(self, corpus: OpenCorpus, log: LogJoin) -> None:
        self._corpus, self._log = corpus, log
        self._columns: Columns = log.records.columns
        self._seen: Seen | None = None
        self.lists = self.acts = 0

    @property
    def records(self) -> int:
        """How many records it is."""
        return self.lists + self.acts

    @property
    def is_large(self) -> bool:
        """Whether the log is worth a segment, and everybody could read it."""
        if not self._corpus.store.segments.are_for_all:
            return False
        self._log.records.flush()
        (served,) = self._columns.one("SELECT count(*) FROM served")
        return bool(served >= LEAST_LISTS)

    def split(self) -> None:
        """Tell what is plain from the rest: fills the tables `ordered` and `doubtful`."""
        columns, logs = self._columns, self._corpus.store.logs
        self._seen = logs.copy_query_ids(self._corpus.corpus_id, columns, "stored", "SELECT query_id FROM served")
        columns.run(
            f"CREATE OR REPLACE TABLE {DOUBTFUL} AS SELECT DISTINCT query_id FROM ({' UNION ALL '.join(_DOUBTS)})"
        )
        columns.run(_ORDER)
        (self.lists,) = columns.one("SELECT count(*) FROM ordered")
        (self.acts,) = columns.one("SELECT count(*) FROM acted SEMI JOIN ordered USING (query_id)")

    def named(self) -> Iterator[tuple[str, int]]:
        """The documents that its events name, in the order of query_ids, each with how many events."""
        return self._columns.each(
            "SELECT doc_id, count(*) FROM acted SEMI JOIN ordered USING (query_id) GROUP BY doc_id "
            "ORDER BY min((query_id, seq))"
        )

    def store(self, tally: Tally) -> None:
        """Store it as segments, which are listed all at once.

        Raises:
            CorpusNotFound: there is no such corpus.
            Unavailable: the disk is full; nothing was stored.
        """
        logs = self._corpus.store.logs
        for _ in range(_TRIES):
            written: list[Written] = []
            try:
                written += self._segments()
                listed = self._seen is not None and logs.list_segments(
                    self._corpus.corpus_id, written, self._seen, self._columns, "ordered"
                )
            except BaseException:
                self._forget(written)
                raise
            if listed:
                added = sum(one.acts for one in written)
                tally.store(ListsImport(sum(one.lists for one in written), FeedbackImport(added)))
                return
            self._forget(written)
            self.split()  # somebody else stored lists of these query_ids meanwhile

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
