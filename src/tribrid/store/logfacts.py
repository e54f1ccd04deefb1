"""What a corpus's log comes to: who searched, what was used, how much of it on each day; rows and segments together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter, itemgetter
from typing import Any

import sqlalchemy as sa

from tribrid.answers.answer import time_at
from tribrid.answers.logs import Day, LogStats
from tribrid.store import segment_counts, tables
from tribrid.store.database import batches
from tribrid.store.logimport import LogImports
from tribrid.store.segment_counts import Asked
from tribrid.store.segments import SOURCE, Reading, listed
from tribrid.store.tables_segments import late_feedback, log_segments
from tribrid.types import Feedback, ImpressionSource, Signal

BATCH = 500
DAY_US = 86_400_000_000
CROWD_LISTS = 100_000
"""The newest lists, of which it is read who asks what: so many are read in seconds."""
CLICKS = 5000
"""The newest clicks, whose ranks are read: their lists are JSON, and a page waits for them."""
_NO_DAY: Mapping[str, Any] = {"impressions": 0, "with_feedback": 0, "fallbacks": 0, "took_ms": None, "searches": 0}
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


class LogFacts(LogImports):
    """The part of the log that counts."""

    def newest_us(self, corpus_id: str) -> int | None:
        """When the newest list was served; None where there is none."""
        newest = sa.select(sa.func.max(_IMPRESSION.created_us)).where(_IMPRESSION.corpus_id == corpus_id)
        with self._database.read() as connection:
            found: int | None = connection.execute(newest).scalar_one()
            times = [segment.last_us for segment in listed(connection, corpus_id)]
        return max([*times, *([] if found is None else [found])], default=None)

    def clients_of(self, corpus_id: str, since_us: int, until_us: int) -> dict[str, bool]:
        """The clients who searched in a span, and whether each did before it as well."""
        inside = sa.func.count(
            sa.case((sa.and_(_IMPRESSION.created_us >= since_us, _IMPRESSION.created_us < until_us), 1))
        )
        seen = sa.select(_IMPRESSION.client_id, sa.func.min(_IMPRESSION.created_us), inside).where(
            _IMPRESSION.corpus_id == corpus_id, _IMPRESSION.client_id.is_not(None)
        )
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            found = segment_counts.clients(reading, since_us, until_us) if reading else {}
            for client_id, first_us, times in connection.execute(seen.group_by(_IMPRESSION.client_id)):
                before_us, there = found.get(client_id, (first_us, False))
                found[client_id] = (min(first_us, before_us), there or times > 0)
        return {client_id: first_us < since_us for client_id, (first_us, there) in found.items() if there}

    def fallbacks_with_feedback(self, corpus_id: str) -> int:
        """Lists that users acted on and that nobody learns from: the reranker should have ranked them and did not. No
        list of a segment is one.
        """
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
        late = sa.select(late_feedback.c.late_number).select_from(late_feedback.join(log_segments))
        with self._database.read() as connection:
            if any(segment.acts for segment in listed(connection, corpus_id)):
                return True
            those = late.where(log_segments.c.corpus_id == corpus_id)
            return any(connection.execute(one.limit(1)).first() is not None for one in (any_, those))

    def has_source(self, corpus_id: str, source: ImpressionSource) -> bool:
        """Whether any list of the corpus is of this kind."""
        mine = sa.select(_IMPRESSION.impression_number).where(_IMPRESSION.corpus_id == corpus_id)
        with self._database.read() as connection:
            if source == SOURCE and listed(connection, corpus_id):
                return True
            return connection.execute(mine.where(_IMPRESSION.source == source).limit(1)).first() is not None

    def crowd(self, corpus_id: str, queries: int) -> Crowd:
        """Who used what the newest lists showed, and what most of them ask.

        Args:
            queries: at most so many.
        """
        used = sa.exists().where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
        newest = (
            sa.select(_IMPRESSION.created_us, _IMPRESSION.query, _IMPRESSION.client_id, used)
            .where(_IMPRESSION.corpus_id == corpus_id)
            .order_by(_IMPRESSION.created_us.desc(), _IMPRESSION.impression_number.desc())
            .limit(CROWD_LISTS)
        )
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            asked = [Asked(*row) for row in connection.execute(newest)]
            if reading:
                both = [*asked, *segment_counts.newest(reading, CROWD_LISTS)]
                asked = sorted(both, key=attrgetter("created_us"), reverse=True)[:CROWD_LISTS]
        return _crowd(asked, queries)

    def acts(self, corpus_id: str, doc_ids: Collection[str]) -> list[Acts]:
        """All that was ever done with these documents, a list and document at a time."""
        own = _IMPRESSION.corpus_id == corpus_id
        columns = (_FEEDBACK.impression_number, _IMPRESSION.query_id, _IMPRESSION.query, _IMPRESSION.client_id)
        done = (_FEEDBACK.signal, _FEEDBACK.doc_id, _FEEDBACK.value, _FEEDBACK.created_us)
        joined = sa.select(*columns, *done).select_from(tables.feedback.join(tables.impressions)).where(own)
        found: dict[tuple[object, str], Acts] = {}

        def add(key: object, row: Sequence[Any]) -> None:
            query_id, query, client_id, signal, doc_id, value, created_us = row
            here = found.setdefault((key, doc_id), Acts(doc_id, query, client_id, []))
            here.feedback.append(Feedback(query_id, Signal(signal), doc_id, value, created_us))

        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            for batch in batches(doc_ids, BATCH):
                for number, *row in connection.execute(joined.where(_FEEDBACK.doc_id.in_(batch))):
                    add(number, row)
            for segment, number, *row in segment_counts.acts_with(reading, doc_ids) if reading else ():
                add((segment, number), row)
        return list(found.values())

    def days(self, corpus_id: str, most: int) -> list[Day]:
        """What was logged on each of the newest days on which anything was, oldest first."""
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            rows = {int(row["day"]): row for row in _days(connection, corpus_id, most)}
            for day, (lists, used) in (segment_counts.days(reading, DAY_US, most) if reading else {}).items():
                row = rows.setdefault(day, {**_NO_DAY})
                row["impressions"] += lists
                row["with_feedback"] += used
            ranks = _clicked_ranks(connection, corpus_id, reading)
        return [
            Day(**{**rows[day], **ranks.get(day, {}), "day": time_at(day * DAY_US).date()})
            for day in sorted(rows)[-most:]
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
        with self._database.read() as connection, self._segments.reading(connection, corpus_id) as reading:
            impressions, fallbacks, *times = connection.execute(whole).one()
            with_feedback = connection.execute(judged).scalar_one()
            by_signal = Counter({row[0]: row[1] for row in connection.execute(signals)})
            if reading:
                older = segment_counts.totals(reading)
                impressions, with_feedback = impressions + older.lists, with_feedback + older.used
                times += [older.first_us, older.last_us]
                by_signal.update(segment_counts.signals(reading))
        known = [time_us for time_us in times if time_us is not None]
        return LogStats(
            corpus_id=corpus_id,
            impressions=impressions,
            with_feedback=with_feedback,
            fallbacks=fallbacks,
            feedback=dict(sorted(by_signal.items())),
            first_at=time_at(min(known, default=None)),
            last_at=time_at(max(known, default=None)),
        )


def _crowd(asked: Sequence[Asked], queries: int) -> Crowd:
    used = [one for one in asked if one.used]
    users: dict[str, set[str]] = {}
    times = Counter(one.query for one in asked)
    for one in asked:
        users.setdefault(one.query, set()).update([] if one.client_id is None else [one.client_id])
    most = sorted(users, key=lambda query: (-len(users[query]), -times[query], query))[:queries]
    return Crowd(
        len({one.client_id for one in used} - {None}),
        sum(one.client_id is None for one in used),
        len(used),
        {query: len(users[query]) for query in most},
    )


def _days(connection: sa.Connection, corpus_id: str, most: int) -> list[dict[str, Any]]:
    """Of rows alone, newest first."""
    day = (_IMPRESSION.created_us // DAY_US).label("day")
    acted = sa.exists().where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
    own = _IMPRESSION.source == "search"
    counted = (
        sa.select(
            day,
            sa.func.count().label("impressions"),
            sa.func.count(sa.case((acted, 1))).label("with_feedback"),
            sa.func.count(_IMPRESSION.fallback_reason).label("fallbacks"),
            sa.func.avg(sa.case((own, _IMPRESSION.took_ms))).label("took_ms"),
            sa.func.count(sa.case((own, 1))).label("searches"),
        )
        .where(_IMPRESSION.corpus_id == corpus_id)
        .group_by(day)
        .order_by(day.desc())
        .limit(most)
    )
    return [dict(row._mapping) for row in connection.execute(counted)]


def _clicked_ranks(connection: sa.Connection, corpus_id: str, reading: Reading | None) -> dict[int, dict[str, float]]:
    """Day of the list → the mean rank at which it was clicked, of the newest clicks, and how many these are."""
    clicked = (
        sa.select(_FEEDBACK.created_us, _IMPRESSION.created_us, _IMPRESSION.shown, _FEEDBACK.doc_id)
        .join_from(tables.feedback, tables.impressions)
        .where(_IMPRESSION.corpus_id == corpus_id, _FEEDBACK.signal == Signal.CLICK.value)
        .order_by(_FEEDBACK.feedback_number.desc())
        .limit(CLICKS)
    )
    found = [
        (at_us, list_us, rank)
        for at_us, list_us, shown, doc_id in connection.execute(clicked)
        for rank in [next((rank for rank, doc in enumerate(shown, 1) if doc[0] == doc_id), None)]
        if rank is not None
    ]
    if reading:
        older = segment_counts.clicks(reading, Signal.CLICK.value, CLICKS)
        found = nlargest(CLICKS, [*found, *older], key=itemgetter(0))
    ranks: dict[int, list[int]] = {}
    for _, list_us, rank in found:
        ranks.setdefault(list_us // DAY_US, []).append(rank)
    return {day: {"clicked_rank": sum(of) / len(of), "clicks": len(of)} for day, of in ranks.items()}
