"""Triplet sets: what one mining made, immutable, and the numbered triplets in it.

What people decided of them since stands in reviews.py, and is laid over a set as it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from tribrid.errors import Erased, NotFound, NoTriplets, TripletNotFound
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, now_us
from tribrid.store.erasing import erasures_seen
from tribrid.store.reviews import StoredTriplet, effective, status_column, triplet_id, with_reviews
from tribrid.store.tables_segments import log_segments
from tribrid.types import Source, Triplet, TripletSet, TripletStatus
from tribrid.types.stored import MinedCounts

BATCH_ROWS = 2000
_SET = tables.triplet_sets.c
_TRIPLET = tables.triplets.c


def _row(corpus_id: str, set_number: int, position: int, triplet: Triplet) -> dict[str, object]:
    return {
        "set_number": set_number,
        "position": position,
        "query_id": triplet.query_id,
        "query": triplet.query,
        "positive_doc_id": triplet.positive[0],
        "positive_ordinal": triplet.positive[1],
        "negative_doc_id": triplet.negative[0],
        "negative_ordinal": triplet.negative[1],
        "source": str(triplet.source),
        "weight": triplet.weight,
        "reason": triplet.reason,
        "evidence": triplet.evidence,
        "triplet_id": triplet_id(corpus_id, triplet.query, triplet.positive[0], triplet.negative[0]),
        "held_back": triplet.held_back,
        "observed_us": triplet.observed_us,
        "remembered": triplet.remembered,
    }


def _stored(row: sa.Row[Any]) -> StoredTriplet:
    triplet = Triplet(
        row.query_id,
        row.query,
        positive=(row.positive_doc_id, row.positive_ordinal),
        negative=(row.negative_doc_id, row.negative_ordinal),
        source=Source(row.source),
        weight=row.weight,
        reason=row.reason,
        evidence=row.evidence,
        observed_us=row.observed_us,
        held_back=row.held_back,
        remembered=row.remembered,
    )
    return StoredTriplet(row.triplet_id, triplet, TripletStatus(row.status))


def _triplet_set(row: sa.Row[Any]) -> TripletSet:
    return TripletSet(row.triplet_set_id, row.corpus_id, row.created_us, row.params, row.counts)


class Triplets:
    """Triplet sets, by id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        corpus_id: str,
        params: Mapping[str, object],
        counts: MinedCounts,
        triplets: Iterable[Triplet],
        erasures: int | None = None,
    ) -> TripletSet:
        """Store a new set, the triplets in the order given, all or nothing.

        Args:
            erasures: how many there had been when the mining began; None: nothing that could be erased was read.

        Raises:
            CorpusNotFound: there is no such corpus.
            Erased: there have been more since, so what was erased may be among the triplets.
        """
        triplet_set = TripletSet(uuid4().hex, corpus_id, now_us(), params, counts)
        total = 0
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if erasures is not None and erasures_seen(connection, corpus_id) != erasures:
                raise Erased("Something was erased while this mining ran, and may have been read. Mine again.")
            new = sa.insert(tables.triplet_sets).values(
                triplet_set_id=triplet_set.triplet_set_id,
                corpus_id=corpus_id,
                created_us=triplet_set.created_us,
                params=params,
                counts=counts,
                triplet_count=0,
                last_impression=_last_impression(corpus_id),
                last_segment=_last_segment(corpus_id),
                erased=0,
            )
            number = connection.execute(new.returning(_SET.set_number)).scalar_one()
            for batch in batches(enumerate(triplets), BATCH_ROWS):
                rows = [_row(corpus_id, number, position, triplet) for position, triplet in batch]
                connection.execute(sa.insert(tables.triplets), rows)
                total += len(rows)
            connection.execute(
                sa.update(tables.triplet_sets).where(_SET.set_number == number).values(triplet_count=total)
            )
        return triplet_set

    def latest(self, corpus_id: str) -> TripletSet:
        """The corpus's newest set.

        Raises:
            NoTriplets: there is none, or it holds no triplet.
        """
        with self._database.read() as connection:
            return _triplet_set(_latest(connection, corpus_id))

    def state(self, corpus_id: str) -> tuple[str, int] | None:
        """The newest set's id, and how many triplets were erased from it; None where there is none."""
        newest = sa.select(_SET.triplet_set_id, _SET.erased).where(_SET.corpus_id == corpus_id)
        with self._database.read() as connection:
            found = connection.execute(newest.order_by(_SET.set_number.desc()).limit(1)).first()
        return None if found is None else (found.triplet_set_id, int(found.erased))

    def load(self, triplet_set_id: str) -> list[Triplet]:
        """What of the set may be trained on, in order: nothing that waits for review, and what was decided there.

        Raises:
            NotFound: there is no such set.
        """
        with self._database.read() as connection:
            number = _find(connection, _SET.triplet_set_id == triplet_set_id, triplet_set_id).set_number
            every = _select().where(_TRIPLET.set_number == number).order_by(_TRIPLET.position)
            return effective(_stored(row) for row in connection.execute(every))

    def queries(self, triplet_set_id: str) -> list[str]:
        """The distinct texts of the set's queries, whatever was decided of their triplets.

        Raises:
            NotFound: there is no such set.
        """
        with self._database.read() as connection:
            number = _find(connection, _SET.triplet_set_id == triplet_set_id, triplet_set_id).set_number
            these = sa.select(_TRIPLET.query).where(_TRIPLET.set_number == number).distinct()
            return sorted(connection.execute(these).scalars())

    def get(self, triplet_set_id: str) -> TripletSet:
        """The set, without its triplets.

        Raises:
            NotFound: there is no such set.
        """
        with self._database.read() as connection:
            return _triplet_set(_find(connection, _SET.triplet_set_id == triplet_set_id, triplet_set_id))

    def erased(self, triplet_set_id: str) -> int:
        """How many triplets were erased from the set.

        Raises:
            NotFound: there is no such set.
        """
        with self._database.read() as connection:
            return int(_find(connection, _SET.triplet_set_id == triplet_set_id, triplet_set_id).erased)

    def page(
        self,
        corpus_id: str,
        triplet_set_id: str | None,
        source: Source | None,
        offset: int,
        limit: int,
        status: TripletStatus | None = None,
    ) -> tuple[list[StoredTriplet], int]:
        """A stretch of a set's triplets, and how many there are in all.

        Args:
            triplet_set_id: None for the newest set.
            source: only triplets from there; None for all.
            status: only those that stand so now; None for all.

        Raises:
            NoTriplets: the corpus has none, or its newest set is empty.
            NotFound: the corpus has no set of this id.
        """
        with self._database.read() as connection:
            if triplet_set_id is None:
                number = _latest(connection, corpus_id).set_number
            else:
                named = sa.and_(_SET.triplet_set_id == triplet_set_id, _SET.corpus_id == corpus_id)
                number = _find(connection, named, triplet_set_id).set_number
            these = _TRIPLET.set_number == number
            if source is not None:
                these = sa.and_(these, _TRIPLET.source == str(source))
            counted = sa.select(sa.func.count()).select_from(tables.triplets)
            if status is not None:
                these = sa.and_(these, status_column() == status.value)
                counted = sa.select(sa.func.count()).select_from(with_reviews())
            every = _select().where(these).order_by(_TRIPLET.position)
            total = connection.execute(counted.where(these)).scalar_one()
            return [_stored(row) for row in connection.execute(every.offset(offset).limit(limit))], total

    def find(self, triplet_id: str) -> StoredTriplet:
        """The triplet as the newest mining that made it has it.

        Raises:
            TripletNotFound: no mining made such a triplet.
        """
        newest = _select().where(_TRIPLET.triplet_id == triplet_id).order_by(_TRIPLET.set_number.desc()).limit(1)
        with self._database.read() as connection:
            found = connection.execute(newest).first()
        if found is None:
            raise TripletNotFound(
                f"There is no triplet {triplet_id!r}. GET /reranker/triplets lists them.", triplet_id=triplet_id
            )
        return _stored(found)


def _select() -> sa.Select[Any]:
    """Rows for `_stored`."""
    return sa.select(tables.triplets, status_column().label("status")).select_from(with_reviews())


def _last_impression(corpus_id: str) -> sa.ScalarSelect[Any]:
    number = tables.impressions.c.impression_number
    last = sa.func.coalesce(sa.func.max(number), 0)
    return sa.select(last).where(tables.impressions.c.corpus_id == corpus_id).scalar_subquery()


def _last_segment(corpus_id: str) -> sa.ScalarSelect[Any]:
    last = sa.func.coalesce(sa.func.max(log_segments.c.segment_number), 0)
    return sa.select(last).where(log_segments.c.corpus_id == corpus_id).scalar_subquery()


def _latest(connection: sa.Connection, corpus_id: str) -> sa.Row[Any]:
    newest = sa.select(tables.triplet_sets).where(_SET.corpus_id == corpus_id).order_by(_SET.set_number.desc()).limit(1)
    found = connection.execute(newest).first()
    if found is None:
        raise NoTriplets(
            f"Corpus {corpus_id!r} has no triplets. Mine some with POST /reranker/mine.", corpus_id=corpus_id
        )
    if found.triplet_count == 0:
        refused = Counter(found.counts.get("rejected") or {}).most_common(1)
        most = f" Most often refused: {refused[0][0]} ({refused[0][1]:,} times)." if refused else ""
        raise NoTriplets(
            f"The last mining of corpus {corpus_id!r} found no triplets.{most} Add judgments or feedback, then mine "
            "again.",
            corpus_id=corpus_id,
            counts=found.counts,
        )
    return found


def _find(connection: sa.Connection, condition: sa.ColumnElement[bool], triplet_set_id: str) -> sa.Row[Any]:
    found = connection.execute(sa.select(tables.triplet_sets).where(condition)).first()
    if found is None:
        raise NotFound(f"There is no triplet set {triplet_set_id!r}.", triplet_set_id=triplet_set_id)
    return found
