"""What people decided of triplets, beside the sets, which stay as they were mined: joined whenever a set is read.

A triplet has the same id in every mining, so a decision holds in all of them. A flip holds for the query: what is
relevant to it is no negative of any of its positives.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from tribrid.errors import Conflict, TripletNotFound
from tribrid.store import tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, insert_into, now_us
from tribrid.types import Mark, Review, Triplet, TripletStatus

_SET = tables.triplet_sets.c
_TRIPLET = tables.triplets.c
_REVIEW = tables.reviews.c
_ANY = tables.reviews.alias("any_review")


@dataclass(frozen=True, slots=True)
class StoredTriplet:
    """A triplet with its id and where it stands."""

    triplet_id: str
    triplet: Triplet
    status: TripletStatus


def triplet_id(corpus_id: str, query: str, positive: str, negative: str) -> str:
    """The id of a triplet of documents, 32 hex digits."""
    named = "\0".join((corpus_id, query, positive, negative))
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def status_column() -> sa.ColumnElement[str]:
    """Where a triplet stands, in a select from `with_reviews()`. A flip, wherever it was made, comes first."""
    flipped = sa.exists().where(
        _ANY.c.corpus_id == _SET.corpus_id,
        _ANY.c.negative_doc_id == _TRIPLET.negative_doc_id,
        _ANY.c.query == _TRIPLET.query,
        _ANY.c.mark == Mark.FLIP.value,
    )
    return sa.case(
        (flipped, TripletStatus.FLIPPED.value),
        (_REVIEW.mark == Mark.DROP.value, TripletStatus.DROPPED.value),
        (_REVIEW.mark == Mark.ACCEPT.value, TripletStatus.ACCEPTED.value),
        (_TRIPLET.held_back, TripletStatus.REVIEW.value),
        else_=TripletStatus.ACTIVE.value,
    )


def with_reviews() -> sa.Join:
    """Triplets, their sets, and what was decided of each."""
    sets = tables.triplets.join(tables.triplet_sets, _TRIPLET.set_number == _SET.set_number)
    return sets.outerjoin(tables.reviews, _REVIEW.triplet_id == _TRIPLET.triplet_id)


def effective(stored: Iterable[StoredTriplet]) -> builtins.list[Triplet]:
    """What may be trained on: mined ones and accepted ones, and each flipped document above its query's negatives."""
    rows = list(stored)
    flipped: dict[str, dict[str, tuple[str, int]]] = {}
    for row in rows:
        if row.status is TripletStatus.FLIPPED:
            flipped.setdefault(row.triplet.query_id, {})[row.triplet.negative[0]] = row.triplet.negative
    made: set[tuple[str, str, str]] = set()
    kept: list[Triplet] = []
    for row in rows:
        ours = flipped.get(row.triplet.query_id, {})
        trains = row.status in (TripletStatus.ACTIVE, TripletStatus.ACCEPTED)
        if trains and row.triplet.negative[0] not in ours:
            kept.append(replace(row.triplet, held_back=False))
            kept += _above(row.triplet, ours, made)
    return kept


def _above(triplet: Triplet, flipped: dict[str, tuple[str, int]], made: set[tuple[str, str, str]]) -> Iterator[Triplet]:
    """The triplet again with each flipped document as its positive, unless one such was made already."""
    for doc_id, passage in flipped.items():
        key = (triplet.query_id, doc_id, triplet.negative[0])
        if key not in made:
            made.add(key)
            reason = f"made a positive in review; {triplet.reason.partition('; ')[2]}"
            yield replace(triplet, positive=passage, reason=reason, evidence="review", held_back=False)


class Reviews:
    """Decisions, by triplet_id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(self, triplet_id: str, mark: Mark, corpora: Collection[str] | None = None) -> str:
        """Keep what was decided, in place of what was decided before; the corpus_id.

        Args:
            corpora: of which it may be; None: of any.

        Raises:
            TripletNotFound: no mining made such a triplet.
            Conflict: the same document is called relevant and not relevant to the same query; names the triplet of
                the other decision.
        """
        newest = _TRIPLET.set_number.desc()
        row_of = sa.select(tables.triplets, _SET.corpus_id).join_from(tables.triplets, tables.triplet_sets)
        row_of = row_of if corpora is None else row_of.where(_SET.corpus_id.in_(corpora))
        with self._database.begin() as connection:
            found = connection.execute(row_of.where(_TRIPLET.triplet_id == triplet_id).order_by(newest)).first()
            if found is None:
                raise TripletNotFound(
                    f"There is no triplet {triplet_id!r}. GET /reranker/triplets lists them.", triplet_id=triplet_id
                )
            require_corpus(connection, found.corpus_id, alone=True)
            _refuse_contradiction(connection, found, mark)
            new = insert_into(connection, tables.reviews).values(
                triplet_id=triplet_id,
                corpus_id=found.corpus_id,
                query=found.query,
                positive_doc_id=found.positive_doc_id,
                negative_doc_id=found.negative_doc_id,
                mark=mark.value,
                decided_us=now_us(),
            )
            changed = {name: new.excluded[name] for name in ("mark", "decided_us")}
            connection.execute(new.on_conflict_do_update(index_elements=["triplet_id"], set_=changed))
        return str(found.corpus_id)

    def list(self, corpus_id: str) -> builtins.list[Review]:
        """Every decision of the corpus, oldest first."""
        every = (
            sa.select(_REVIEW.query, _REVIEW.positive_doc_id, _REVIEW.negative_doc_id, _REVIEW.mark)
            .where(_REVIEW.corpus_id == corpus_id)
            .order_by(_REVIEW.decided_us, _REVIEW.triplet_id)
        )
        with self._database.read() as connection:
            return [Review(query, good, bad, Mark(mark)) for query, good, bad, mark in connection.execute(every)]


_OPPOSITE = {Mark.ACCEPT: Mark.FLIP, Mark.FLIP: Mark.ACCEPT}


def _refuse_contradiction(connection: sa.Connection, triplet: sa.Row[Any], mark: Mark) -> None:
    if mark not in _OPPOSITE:
        return
    same = sa.and_(
        _REVIEW.corpus_id == triplet.corpus_id,
        _REVIEW.negative_doc_id == triplet.negative_doc_id,
        _REVIEW.query == triplet.query,
        _REVIEW.mark == _OPPOSITE[mark].value,
        _REVIEW.triplet_id != triplet.triplet_id,
    )
    other = connection.execute(sa.select(_REVIEW.triplet_id).where(same)).scalar()
    if other is not None:
        raise Conflict(
            f"Triplet {other} of the same query and document was decided as {_OPPOSITE[mark].value!r}: a document is "
            "either relevant to a query or not. Decide that one anew first.",
            triplet_id=triplet.triplet_id,
            contradicts=other,
        )
