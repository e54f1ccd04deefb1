"""What was shown and what users did with it. One row per impression, its list as compact JSON.

Feedback is only taken for a list that was served and a document that stood in it: anything else would be evidence
made up. Built for a million impressions: bulk writes commit batch by batch, reads go page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tribrid.errors import NotShown, QueryNotFound
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.types import Feedback, Impression, LegScore, ShownDoc, Signal

# Rows per transaction of an import: enough to be fast, few enough that a search can log in between.
BATCH_ROWS = 2000
# Impressions per page of a read: with 100 documents shown each, some 20 MB.
PAGE_ROWS = 500
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c


@dataclass(frozen=True, slots=True)
class FeedbackImport:
    """What became of imported feedback. `rejected` holds (position in the import, code): the position starts at 0,
    the code is "query_not_found" or "not_shown". `known` rows were there already.
    """

    added: int = 0
    known: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def _pack(shown: Sequence[ShownDoc]) -> list[list[Any]]:
    """A list as JSON arrays [doc_id, rank, score, start, end, {leg: [rank, score]}]: half the size of objects."""
    return [
        [doc.doc_id, doc.rank, doc.score, doc.start, doc.end, {name: [s.rank, s.score] for name, s in doc.legs.items()}]
        for doc in shown
    ]


def _unpack(packed: Sequence[Sequence[Any]]) -> tuple[ShownDoc, ...]:
    return tuple(
        ShownDoc(doc_id, rank, score, start, end, {name: LegScore(*leg) for name, leg in legs.items()})
        for doc_id, rank, score, start, end, legs in packed
    )


def _impression_row(impression: Impression) -> dict[str, Any]:
    return {
        "query_id": impression.query_id,
        "corpus_id": impression.corpus_id,
        "query": impression.query,
        "shown": _pack(impression.shown),
        "model_id": impression.model_id,
        "reranked": impression.reranked,
        "fallback_reason": impression.fallback_reason,
        "took_ms": impression.took_ms,
        "created_us": impression.created_us,
        "source": impression.source,
    }


def _impression(row: sa.Row[Any]) -> Impression:
    fields = dict(row._mapping)
    del fields["impression_number"]
    return Impression(**{**fields, "shown": _unpack(row.shown)})


def _feedback_row(impression_number: int, feedback: Feedback) -> dict[str, Any]:
    return {
        "impression_number": impression_number,
        "signal": str(feedback.signal),
        "doc_id": feedback.doc_id,
        "value": feedback.value,
        "created_us": feedback.created_us,
    }


def _identity(row: Mapping[str, Any] | sa.RowMapping) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("impression_number", "signal", "doc_id", "value", "created_us"))


class Logs:
    """Impressions and their feedback, by query_id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_impression(self, impression: Impression) -> None:
        """Store one served list. One that is already stored is left as it is.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        self.add_impressions([impression])

    def add_impressions(self, impressions: Iterable[Impression]) -> int:
        """Store many, 2000 a transaction; how many were new. A query_id its corpus already has is left as it is, so
        an import can be repeated, or taken up again after a crash.

        Raises:
            CorpusNotFound: there is no such corpus (batches before that one are stored).
        """
        added = 0
        for batch in batches(impressions, BATCH_ROWS):
            with self._database.begin() as connection:
                for corpus_id in sorted({impression.corpus_id for impression in batch}):
                    require_corpus(connection, corpus_id)
                new = insert_into(connection, tables.impressions).on_conflict_do_nothing(
                    index_elements=["corpus_id", "query_id"]
                )
                rows = [_impression_row(impression) for impression in batch]
                # Without the option, SQLAlchemy forgets how many rows an INSERT made before one can ask.
                added += connection.execute(new, rows, execution_options={"preserve_rowcount": True}).rowcount
        return added

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
            if found is None:
                raise _unknown_query(feedback.query_id)
            if feedback.doc_id is not None and all(doc[0] != feedback.doc_id for doc in found.shown):
                raise NotShown(
                    f"Document {feedback.doc_id!r} was not shown for query_id {feedback.query_id!r}.",
                    query_id=feedback.query_id,
                    doc_id=feedback.doc_id,
                )
            connection.execute(sa.insert(tables.feedback).values(_feedback_row(found.impression_number, feedback)))

    def add_feedbacks(self, corpus_id: str, feedbacks: Iterable[Feedback]) -> FeedbackImport:
        """Join imported signals to the corpus's impressions and store those that fit, 2000 a transaction. A signal
        equal to a stored one in every field is the same signal, so an import can be repeated.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        added, known = 0, 0
        rejected: list[tuple[int, str]] = []
        for batch in batches(enumerate(feedbacks), BATCH_ROWS):
            with self._database.begin() as connection:
                require_corpus(connection, corpus_id, alone=True)
                rows, refused = _join(connection, corpus_id, batch)
                fresh = _without_stored(connection, rows)
                if fresh:
                    connection.execute(sa.insert(tables.feedback), fresh)
            added, known = added + len(fresh), known + len(rows) - len(fresh)
            rejected += refused
        return FeedbackImport(added, known, rejected)

    def impression(self, query_id: str) -> Impression:
        """The list served under this query_id (the latest, if an imported one stands in several corpora).

        Raises:
            QueryNotFound: there is none.
        """
        with self._database.read() as connection:
            found = connection.execute(_latest(query_id)).first()
        if found is None:
            raise _unknown_query(query_id)
        return _impression(found)

    def iterate_with_feedback(self, corpus_id: str) -> Iterator[tuple[Impression, list[Feedback]]]:
        """Impressions that have feedback, oldest first, each with its feedback, oldest first.

        Lists with a fallback_reason are left out: users judged an order that the reranker did not make.
        Reads a page at a time, each in a transaction of its own, so a slow consumer holds nothing open.
        """
        after = (-(2**63), 0)
        while True:
            with self._database.read(page=True) as connection:
                page = connection.execute(_page_with_feedback(corpus_id, after)).all()
                signals = _feedback_of(connection, page)
            for row in page:
                yield _impression(row), signals[row.impression_number]
            if len(page) < PAGE_ROWS:
                return
            after = (page[-1].created_us, page[-1].impression_number)

    def stats(self, corpus_id: str) -> dict[str, Any]:
        """Counts: `impressions`, `with_feedback`, `fallbacks`, `feedback` by signal; `first_us` and `last_us` of the
        impressions (None if there are none).
        """
        mine = _IMPRESSION.corpus_id == corpus_id
        number = _FEEDBACK.impression_number
        joined = tables.feedback.join(tables.impressions)
        whole = sa.select(
            sa.func.count(),
            sa.func.count(_IMPRESSION.fallback_reason),
            sa.func.min(_IMPRESSION.created_us),
            sa.func.max(_IMPRESSION.created_us),
        ).where(mine)
        judged = sa.select(sa.func.count(sa.distinct(number))).select_from(joined).where(mine)
        signals = (
            sa.select(_FEEDBACK.signal, sa.func.count()).select_from(joined).where(mine).group_by(_FEEDBACK.signal)
        )
        with self._database.read() as connection:
            impressions, fallbacks, first_us, last_us = connection.execute(whole).one()
            with_feedback = connection.execute(judged).scalar_one()
            by_signal = {row[0]: row[1] for row in connection.execute(signals.order_by(_FEEDBACK.signal))}
        return {
            "impressions": impressions,
            "with_feedback": with_feedback,
            "fallbacks": fallbacks,
            "feedback": by_signal,
            "first_us": first_us,
            "last_us": last_us,
        }


def _unknown_query(query_id: str) -> QueryNotFound:
    return QueryNotFound(
        f"No search was answered with query_id {query_id!r}. Send the query_id of a /search answer.", query_id=query_id
    )


def _latest(query_id: str) -> sa.Select[Any]:
    number = _IMPRESSION.impression_number
    return sa.select(tables.impressions).where(_IMPRESSION.query_id == query_id).order_by(number.desc()).limit(1)


def _page_with_feedback(corpus_id: str, after: tuple[int, int]) -> sa.Select[Any]:
    position = sa.tuple_(_IMPRESSION.created_us, _IMPRESSION.impression_number)
    has_feedback = sa.exists().where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
    return (
        sa.select(tables.impressions)
        .where(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.fallback_reason.is_(None))
        .where(position > after, has_feedback)
        .order_by(_IMPRESSION.created_us, _IMPRESSION.impression_number)
        .limit(PAGE_ROWS)
    )


def _feedback_of(connection: sa.Connection, page: Sequence[sa.Row[Any]]) -> dict[int, list[Feedback]]:
    """The feedback of a page of impressions, by impression number."""
    query_ids = {row.impression_number: row.query_id for row in page}
    signals: dict[int, list[Feedback]] = {number: [] for number in query_ids}
    rows = connection.execute(
        sa.select(tables.feedback)
        .where(_FEEDBACK.impression_number.in_(query_ids))
        .order_by(_FEEDBACK.created_us, _FEEDBACK.feedback_number)
    )
    for row in rows:
        number = row.impression_number
        feedback = Feedback(query_ids[number], Signal(row.signal), row.doc_id, row.value, row.created_us)
        signals[number].append(feedback)
    return signals


def _join(
    connection: sa.Connection, corpus_id: str, batch: Sequence[tuple[int, Feedback]]
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    """The rows of those that fit an impression, and the others' positions with the reason."""
    found = connection.execute(
        sa.select(_IMPRESSION.query_id, _IMPRESSION.impression_number, _IMPRESSION.shown).where(
            _IMPRESSION.corpus_id == corpus_id,
            _IMPRESSION.query_id.in_({feedback.query_id for _, feedback in batch}),
        )
    )
    served = {row.query_id: (row.impression_number, {doc[0] for doc in row.shown}) for row in found}
    rows, refused = [], []
    for position, feedback in batch:
        number, shown = served.get(feedback.query_id, (None, set()))
        if number is None:
            refused.append((position, QueryNotFound.code))
        elif feedback.doc_id is not None and feedback.doc_id not in shown:
            refused.append((position, NotShown.code))
        else:
            rows.append(_feedback_row(number, feedback))
    return rows, refused


def _without_stored(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that are neither stored nor earlier in the list."""
    numbers = {row["impression_number"] for row in rows}
    stored = connection.execute(sa.select(tables.feedback).where(_FEEDBACK.impression_number.in_(numbers)))
    fresh = {_identity(row): row for row in rows}
    for row in stored:
        fresh.pop(_identity(row._mapping), None)
    return list(fresh.values())
