"""What was shown and what users did with it. One row per impression, its list as compact JSON.

Feedback is only taken for a list that was served and a document that stood in it: anything else would be evidence
made up. Bulk writes are in `logimport.py`, reading for mining in `logreading.py`. What was imported
in bulk is in segments (segments.py), and reads as rows do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from tribrid.errors import NotShown, QueryNotFound
from tribrid.observing import timed
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import batches
from tribrid.store.documents import read_documents
from tribrid.store.logfacts import BATCH, LogFacts
from tribrid.store.logimport import insert_impressions
from tribrid.store.logreading import log_blocks
from tribrid.store.logrows import feedback_row, impression_of, impression_row, late_row
from tribrid.store.segment_reading import Kept, find
from tribrid.store.segments import SOURCE, lock
from tribrid.store.tables_segments import late_feedback, log_segments
from tribrid.types import Document, Feedback, Impression, LoggedList
from tribrid.types.logblocks import LogBlock

_IMPRESSION = tables.impressions.c


class Logs(LogFacts):
    """Impressions and their feedback, by query_id."""

    @timed("log")
    def add_impression(self, impression: Impression) -> int:
        """Store one served list; how many were new. One that is already stored is left as it is.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        return self.add_impressions([impression])

    @timed("log")
    def add_shown(self, impression: Impression) -> dict[str, Document]:
        """As add_impression, and those of the documents it shows that exist, by doc_id, read in the same transaction.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, impression.corpus_id)
            insert_impressions(connection, [impression_row(impression)])
            return read_documents(connection, impression.corpus_id, [doc.doc_id for doc in impression.shown])

    def add_feedback(self, feedback: Feedback) -> None:
        """Store one signal. If an imported query_id stands in several corpora, it counts for the latest list.

        Raises:
            QueryNotFound: no list was served under this query_id.
            NotShown: the document did not stand in that list.
        """
        with self._database.begin() as connection:
            # The lock keeps the impression from being deleted (with its corpus) before its feedback is in.
            latest = _latest(feedback.query_id).with_for_update(read=True, key_share=True)
            found = connection.execute(latest).first()
            if found is None or found.source == SOURCE:
                lock(connection)
            kept = self._kept(connection, feedback.query_id, found)
            if kept is not None:
                _require_shown(feedback, [doc.doc_id for doc in kept.impression.shown])
                connection.execute(sa.insert(late_feedback).values(late_row(kept.key, feedback)))
            elif found is not None:
                _require_shown(feedback, [doc[0] for doc in found.shown])
                connection.execute(sa.insert(tables.feedback).values(feedback_row(found.impression_number, feedback)))
            else:
                raise no_search(feedback.query_id)

    def impression(self, query_id: str) -> Impression:
        """The list served under this query_id (the latest, if an imported one stands in several corpora).

        Raises:
            QueryNotFound: there is none.
        """
        with self._database.read() as connection:
            found = connection.execute(_latest(query_id)).first()
            kept = self._kept(connection, query_id, found)
        if kept is not None:
            return kept.impression
        if found is None:
            raise no_search(query_id)
        return impression_of(found)

    def _kept(self, connection: sa.Connection, query_id: str, row: sa.Row[Any] | None) -> Kept | None:
        """The list that a segment has, if that is the latest. A search's own row is: no other list has its query_id."""
        if row is not None and row.source != SOURCE:
            return None
        later = None if row is None else log_segments.c.after_impression >= row.impression_number
        with self._segments.reading(connection, None, later) as reading:
            return None if reading is None else find(reading, query_id)

    def given(self, corpus_id: str, queries: Collection[str]) -> dict[str, list[str]]:
        """Query → the doc_ids that came with its newest rerank, in their order; of those that came to one."""
        columns = (_IMPRESSION.query, _IMPRESSION.given)
        every = sa.select(*columns).where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.given.is_not(None))
        found: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for batch in batches(queries, BATCH):
                these = every.where(_IMPRESSION.query.in_(batch)).order_by(_IMPRESSION.impression_number)
                found.update({query: list(given) for query, given in connection.execute(these)})
        return found

    def given_fields(self, corpus_id: str, queries: Collection[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
        """Query → doc_id → what came of its metadata with the query's newest rerank; of those with which any came."""
        columns, some = (_IMPRESSION.query, _IMPRESSION.given_fields), _IMPRESSION.given_fields.is_not(None)
        every = sa.select(*columns).where(_IMPRESSION.corpus_id == corpus_id, some)
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        with self._database.read() as connection:
            for batch in batches(queries, BATCH):
                these = every.where(_IMPRESSION.query.in_(batch)).order_by(_IMPRESSION.impression_number)
                found.update((row.query, row.given_fields) for row in connection.execute(these))
        return found

    def blocks_with_feedback(
        self, corpus_id: str, *, named: bool = False, since_us: int | None = None, until_us: int | None = None
    ) -> Iterator[LogBlock]:
        """Every list that can be learned from, in the order of time, with its feedback, if it has any.

        Args:
            named: only those of which the client is known.
            since_us: only those from this moment on.
            until_us: only those before this moment.
        """
        return log_blocks(self._database, self._segments, corpus_id, named=named, since_us=since_us, until_us=until_us)

    def iterate_with_feedback(
        self, corpus_id: str, *, named: bool = False, since_us: int | None = None, until_us: int | None = None
    ) -> Iterator[LoggedList]:
        """The same, list by list."""
        blocks = self.blocks_with_feedback(corpus_id, named=named, since_us=since_us, until_us=until_us)
        return (logged for block in blocks for logged in block.lists())


def _require_shown(feedback: Feedback, doc_ids: Collection[str]) -> None:
    if feedback.doc_id is not None and feedback.doc_id not in doc_ids:
        raise NotShown(
            f"Document {feedback.doc_id!r} was not shown for query_id {feedback.query_id!r}.",
            query_id=feedback.query_id,
            doc_id=feedback.doc_id,
        )


def no_search(query_id: str) -> QueryNotFound:
    """What is said of an id that no search has."""
    return QueryNotFound(
        f"No search was answered with query_id {query_id!r}. Send the query_id of a /search answer.", query_id=query_id
    )


def _latest(query_id: str) -> sa.Select[Any]:
    number = _IMPRESSION.impression_number
    return sa.select(tables.impressions).where(_IMPRESSION.query_id == query_id).order_by(number.desc()).limit(1)
