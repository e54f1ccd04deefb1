"""What was shown and what users did with it. One row per impression, its list as compact JSON.

Feedback is only taken for a list that was served and a document that stood in it: anything else would be evidence
made up. Bulk writes are in `logimport.py`, reading for mining in `logreading.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tribrid.answers.answer import time_at
from tribrid.answers.logs import Day, LogStats
from tribrid.errors import NotShown, QueryNotFound
from tribrid.observing import timed
from tribrid.store import tables
from tribrid.store.database import batches
from tribrid.store.logimport import LogImports
from tribrid.store.logreading import logged_lists
from tribrid.store.logrows import feedback_row, impression_of
from tribrid.types import Feedback, Impression, ImpressionSource, LoggedList, Signal

BATCH = 500
DAY_US = 86_400_000_000
CROWD_LISTS = 100_000
"""The newest lists, of which it is read who asks what: so many are read in seconds."""
CLICKS = 5000
"""The newest clicks, whose ranks are read: their lists are JSON, and a page waits for them."""
_IMPRESSION = tables.impressions.c
_FEEDBACK = tables.feedback.c


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who uses a corpus: clients who used a document, lists that were used, those of them whose client is not known;
    and queries, those of most clients first, with how many clients asked each.
    """

    clients: int
    nameless: int
    lists: int
    queries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Acts:
    """What was done with one document of one list. `client_id` is None where nobody said."""

    doc_id: str
    query: str
    client_id: str | None
    feedback: list[Feedback]


class Logs(LogImports):
    """Impressions and their feedback, by query_id."""

    @timed("log")
    def add_impression(self, impression: Impression) -> None:
        """Store one served list. One that is already stored is left as it is.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        self.add_impressions([impression])

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
                raise no_search(feedback.query_id)
            if feedback.doc_id is not None and all(doc[0] != feedback.doc_id for doc in found.shown):
                raise NotShown(
                    f"Document {feedback.doc_id!r} was not shown for query_id {feedback.query_id!r}.",
                    query_id=feedback.query_id,
                    doc_id=feedback.doc_id,
                )
            connection.execute(sa.insert(tables.feedback).values(feedback_row(found.impression_number, feedback)))

    def impression(self, query_id: str) -> Impression:
        """The list served under this query_id (the latest, if an imported one stands in several corpora).

        Raises:
            QueryNotFound: there is none.
        """
        with self._database.read() as connection:
            found = connection.execute(_latest(query_id)).first()
        if found is None:
            raise no_search(query_id)
        return impression_of(found)

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

    def iterate_with_feedback(
        self, corpus_id: str, *, named: bool = False, since_us: int | None = None, until_us: int | None = None
    ) -> Iterator[LoggedList]:
        """Every list that can be learned from, in the order of time, with its feedback, if it has any.

        Args:
            named: only those of which the client is known.
            since_us: only those from this moment on.
            until_us: only those before this moment.
        """
        return logged_lists(self._database, corpus_id, named=named, since_us=since_us, until_us=until_us)

    def newest_us(self, corpus_id: str) -> int | None:
        """When the newest list was served; None where there is none."""
        newest = sa.select(sa.func.max(_IMPRESSION.created_us)).where(_IMPRESSION.corpus_id == corpus_id)
        with self._database.read() as connection:
            found: int | None = connection.execute(newest).scalar_one()
        return found

    def clients_of(self, corpus_id: str, since_us: int, until_us: int) -> dict[str, bool]:
        """The clients who searched in a span, and whether each did before it as well."""
        own = sa.and_(_IMPRESSION.corpus_id == corpus_id, _IMPRESSION.client_id.is_not(None))
        inside = sa.select(_IMPRESSION.client_id).where(
            own, _IMPRESSION.created_us >= since_us, _IMPRESSION.created_us < until_us
        )
        first = sa.func.min(_IMPRESSION.created_us)
        seen = sa.select(_IMPRESSION.client_id, first).where(own, _IMPRESSION.client_id.in_(inside))
        with self._database.read() as connection:
            return {row[0]: row[1] < since_us for row in connection.execute(seen.group_by(_IMPRESSION.client_id))}

    def fallbacks_with_feedback(self, corpus_id: str) -> int:
        """Lists that users acted on and that nobody learns from: the reranker should have ranked them and did not."""
        acted_on = sa.exists().where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
        counted = sa.select(sa.func.count()).where(
            _IMPRESSION.corpus_id == corpus_id, _IMPRESSION.fallback_reason.is_not(None), acted_on
        )
        with self._database.read() as connection:
            found: int = connection.execute(counted).scalar_one()
        return found

    def has_feedback(self, corpus_id: str) -> bool:
        """Whether anybody did anything with a list of the corpus; however long the log, as soon as that is found."""
        mine = _IMPRESSION.corpus_id == corpus_id
        any_ = sa.select(_FEEDBACK.feedback_number).select_from(tables.feedback.join(tables.impressions)).where(mine)
        with self._database.read() as connection:
            return connection.execute(any_.limit(1)).first() is not None

    def has_source(self, corpus_id: str, source: ImpressionSource) -> bool:
        """Whether any list of the corpus is of this kind."""
        mine = sa.select(_IMPRESSION.impression_number).where(_IMPRESSION.corpus_id == corpus_id)
        with self._database.read() as connection:
            return connection.execute(mine.where(_IMPRESSION.source == source).limit(1)).first() is not None

    def crowd(self, corpus_id: str, queries: int) -> Crowd:
        """Who used what the newest lists showed, and what most of them ask.

        Args:
            queries: at most so many.
        """
        newest = (
            sa.select(_IMPRESSION.impression_number, _IMPRESSION.query, _IMPRESSION.client_id)
            .where(_IMPRESSION.corpus_id == corpus_id)
            .order_by(_IMPRESSION.created_us.desc(), _IMPRESSION.impression_number.desc())
            .limit(CROWD_LISTS)
            .subquery()
        )
        used = sa.exists().where(_FEEDBACK.impression_number == newest.c.impression_number)
        users = sa.func.count(sa.distinct(newest.c.client_id))
        counted = sa.select(users, sa.func.count(newest.c.client_id), sa.func.count()).select_from(newest).where(used)
        asked = sa.select(newest.c.query, users.label("clients")).group_by(newest.c.query)
        most = asked.order_by(sa.desc("clients"), sa.func.count().desc(), newest.c.query).limit(queries)
        with self._database.read() as connection:
            clients, named, lists = connection.execute(counted).one()
            return Crowd(clients, lists - named, lists, {row.query: row.clients for row in connection.execute(most)})

    def acts(self, corpus_id: str, doc_ids: Collection[str]) -> list[Acts]:
        """All that was ever done with these documents, a list and document at a time."""
        own = _IMPRESSION.corpus_id == corpus_id
        columns = (_IMPRESSION.query_id, _IMPRESSION.query, _IMPRESSION.client_id, *tables.feedback.c)
        joined = sa.select(*columns).select_from(tables.feedback.join(tables.impressions)).where(own)
        found: dict[tuple[int, str], Acts] = {}
        with self._database.read() as connection:
            for batch in batches(doc_ids, BATCH):
                for row in connection.execute(joined.where(_FEEDBACK.doc_id.in_(batch))):
                    new = Acts(row.doc_id, row.query, row.client_id, [])
                    here = found.setdefault((row.impression_number, row.doc_id), new)
                    act = Feedback(row.query_id, Signal(row.signal), row.doc_id, row.value, row.created_us)
                    here.feedback.append(act)
        return list(found.values())

    def days(self, corpus_id: str, most: int) -> list[Day]:
        """What was logged on each of the newest days on which anything was, oldest first."""
        day = (_IMPRESSION.created_us // DAY_US).label("day")
        acted = sa.exists().where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
        own = _IMPRESSION.source == "search"
        searches = sa.func.count(sa.case((own, 1)))
        counted = (
            sa.select(
                day,
                sa.func.count().label("impressions"),
                sa.func.count(sa.case((acted, 1))).label("with_feedback"),
                sa.func.count(_IMPRESSION.fallback_reason).label("fallbacks"),
                sa.func.avg(sa.case((own, _IMPRESSION.took_ms))).label("took_ms"),
                searches.label("searches"),
            )
            .where(_IMPRESSION.corpus_id == corpus_id)
            .group_by(day)
            .order_by(day.desc())
            .limit(most)
        )
        with self._database.read() as connection:
            rows = [dict(row._mapping) for row in connection.execute(counted)]
            ranks = _clicked_ranks(connection, corpus_id)
        return [
            Day(**{**row, **ranks.get(row["day"], {}), "day": time_at(int(row["day"]) * DAY_US).date()})
            for row in reversed(rows)
        ]

    def stats(self, corpus_id: str) -> LogStats:
        """How much was logged."""
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
        return LogStats(
            corpus_id=corpus_id,
            impressions=impressions,
            with_feedback=with_feedback,
            fallbacks=fallbacks,
            feedback=by_signal,
            first_at=time_at(first_us),
            last_at=time_at(last_us),
        )


def _clicked_ranks(connection: sa.Connection, corpus_id: str) -> dict[int, dict[str, float]]:
    """Day of the list → the mean rank at which it was clicked, of the newest clicks, and how many these are."""
    clicked = (
        sa.select(_IMPRESSION.created_us, _IMPRESSION.shown, _FEEDBACK.doc_id)
        .join_from(tables.feedback, tables.impressions)
        .where(_IMPRESSION.corpus_id == corpus_id, _FEEDBACK.signal == Signal.CLICK.value)
        .order_by(_FEEDBACK.feedback_number.desc())
        .limit(CLICKS)
    )
    ranks: dict[int, list[int]] = {}
    for at_us, shown, doc_id in connection.execute(clicked):
        rank = next((rank for rank, doc in enumerate(shown, 1) if doc[0] == doc_id), None)
        if rank is not None:
            ranks.setdefault(at_us // DAY_US, []).append(rank)
    return {day: {"clicked_rank": sum(of) / len(of), "clicks": len(of)} for day, of in ranks.items()}


def no_search(query_id: str) -> QueryNotFound:
    """What is said of an id that no search has."""
    return QueryNotFound(
        f"No search was answered with query_id {query_id!r}. Send the query_id of a /search answer.", query_id=query_id
    )


def _latest(query_id: str) -> sa.Select[Any]:
    number = _IMPRESSION.impression_number
    return sa.select(tables.impressions).where(_IMPRESSION.query_id == query_id).order_by(number.desc()).limit(1)
