"""From a triplet set back to what it was mined from: its queries, and the lists that mining read of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from tribrid.errors import NotFound
from tribrid.store import tables
from tribrid.store.database import Database, batches
from tribrid.store.segment_counts import first_lists, spellings
from tribrid.store.segments import Segments
from tribrid.store.tables_segments import log_segments
from tribrid.types import Source

BATCH = 500
_SET, _TRIPLET = tables.triplet_sets.c, tables.triplets.c
_IMPRESSION, _FEEDBACK = tables.impressions.c, tables.feedback.c


@dataclass(frozen=True, slots=True)
class MinedQuery:
    """A query of a set from one source. `evidence` names the judgments, documents or lists that its labels name."""

    query_id: str
    query: str
    source: Source
    triplets: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list that mining read. `feedback` is how many signals it has."""

    query_id: str
    created_us: int
    client_id: str | None
    feedback: int


class Lineage:
    """Reads only. Two texts are one query where `normalise` makes them equal."""

    def __init__(self, database: Database, segments: Segments) -> None:
        self._database, self._segments = database, segments

    def totals(self, triplet_set_id: str) -> dict[str, dict[str, int]]:
        """`queries` and `triplets` by source."""
        counts = sa.func.count(sa.distinct(_TRIPLET.query_id)), sa.func.count()
        every = sa.select(_TRIPLET.source, *counts).join_from(tables.triplets, tables.triplet_sets)
        these = every.where(_SET.triplet_set_id == triplet_set_id).group_by(_TRIPLET.source).order_by(_TRIPLET.source)
        with self._database.read() as connection:
            return {source: {"queries": q, "triplets": t} for source, q, t in connection.execute(these)}

    def queries(self, triplet_set_id: str, offset: int, limit: int) -> tuple[list[MinedQuery], int]:
        """A stretch of the set's queries in the order mined, and how many there are."""
        own = sa.and_(_SET.triplet_set_id == triplet_set_id, _SET.set_number == _TRIPLET.set_number)
        key = (_TRIPLET.query_id, _TRIPLET.query, _TRIPLET.source)
        grouped = sa.select(*key, sa.func.count().label("triplets")).where(own).group_by(*key)
        page = grouped.order_by(sa.func.min(_TRIPLET.position)).offset(offset).limit(limit)
        with self._database.read() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(grouped.subquery())).scalar_one()
            rows = connection.execute(page).all()
            named = sa.select(*key, _TRIPLET.evidence).where(own, _TRIPLET.query_id.in_([row[0] for row in rows]))
            evidence: dict[Any, set[str]] = {}
            for query_id, query, source, said in connection.execute(named.distinct()):
                evidence.setdefault((query_id, query, source), set()).add(said)
        return [
            MinedQuery(query_id, query, Source(source), count, tuple(sorted(evidence[query_id, query, source] - {""})))
            for query_id, query, source, count in rows
        ], total

    def asked(self, triplet_set_id: str, source: Source) -> set[str]:
        """The texts of the set's queries that came from this source."""
        these = sa.select(_TRIPLET.query).join_from(tables.triplets, tables.triplet_sets).distinct()
        with self._database.read() as connection:
            found = connection.execute(
                these.where(_SET.triplet_set_id == triplet_set_id, _TRIPLET.source == source.value)
            )
            return set(found.scalars())

    def spellings(self, triplet_set_id: str, normalise: Callable[[str], str]) -> dict[str, dict[str, int]]:
        """Of what the mining can have read: normalised query → its spellings, each with how many lists.

        Raises:
            NotFound: there is no such set.
        """
        with self._database.read() as connection:
            read = _read_by(connection, triplet_set_id)
            counted = sa.select(_IMPRESSION.query, sa.func.count()).where(read.rows).group_by(_IMPRESSION.query)
            counts = Counter({row[0]: row[1] for row in connection.execute(counted)})
            with self._segments.reading(connection, read.corpus_id, read.segments) as reading:
                counts.update(spellings(reading) if reading else {})
        found: dict[str, dict[str, int]] = {}
        for text, count in counts.items():
            found.setdefault(normalise(text), {})[text] = count
        return found

    def lists(self, triplet_set_id: str, texts: Collection[str], most: int) -> Mapping[str, list[ReadList]]:
        """Of each spelling, the first `most` lists that the mining can have read.

        Raises:
            NotFound: there is no such set.
        """
        found: dict[str, list[ReadList]] = {text: [] for text in texts}
        place = sa.func.row_number().over(partition_by=_IMPRESSION.query, order_by=_IMPRESSION.impression_number)
        signals = (
            sa.select(sa.func.count())
            .where(_FEEDBACK.impression_number == _IMPRESSION.impression_number)
            .scalar_subquery()
        )
        columns = (_IMPRESSION.query, _IMPRESSION.query_id, _IMPRESSION.created_us, _IMPRESSION.client_id, signals)
        with self._database.read() as connection:
            read = _read_by(connection, triplet_set_id)
            for batch in batches(texts, BATCH):
                numbered = sa.select(_IMPRESSION.impression_number.label("number"), place.label("place"))
                first = numbered.where(read.rows, _IMPRESSION.query.in_(batch)).subquery()
                these = sa.select(*columns).join(first, first.c.number == _IMPRESSION.impression_number)
                chosen = these.where(first.c.place <= most).order_by(_IMPRESSION.impression_number)
                for text, *rest in connection.execute(chosen):
                    found[text].append(ReadList(*rest))
            with self._segments.reading(connection, read.corpus_id, read.segments) as reading:
                for text, *rest in first_lists(reading, texts, most) if reading else ():
                    found[text].append(ReadList(*rest))
        return {text: lists[:most] for text, lists in found.items()}


class _Read(NamedTuple):
    """What the set's mining can have read, as conditions on rows and on segments."""

    corpus_id: str
    rows: sa.ColumnElement[bool]
    segments: sa.ColumnElement[bool]


def _read_by(connection: sa.Connection, triplet_set_id: str) -> _Read:
    """What the set's mining can have read.

    Raises:
        NotFound: there is no such set.
    """
    columns = sa.select(_SET.corpus_id, _SET.last_impression, _SET.last_segment)
    row = connection.execute(columns.where(_SET.triplet_set_id == triplet_set_id)).first()
    if row is None:
        raise NotFound(f"There is no triplet set {triplet_set_id!r}.", triplet_set_id=triplet_set_id)
    own = [_IMPRESSION.corpus_id == row.corpus_id, _IMPRESSION.fallback_reason.is_(None)]
    own += [_IMPRESSION.impression_number <= row.last_impression] if row.last_impression is not None else []
    return _Read(row.corpus_id, sa.and_(*own), log_segments.c.segment_number <= row.last_segment)
