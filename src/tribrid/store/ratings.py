"""What each judge said of a document, within the transaction that changes the judgments (judgments.py)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from tribrid.answers.answer import time_at
from tribrid.answers.judgments import GivenBy, Rating
from tribrid.store import tables
from tribrid.store.database import Database, batches, insert_into, now_us
from tribrid.store.tables_ratings import ratings
from tribrid.types import JudgedQuery

_RATING = ratings.c
_QUERY = tables.judged_queries.c
_BATCH = 1000


class Ratings:
    """Ratings of each corpus."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, corpus_id: str, query_id: str | None = None) -> list[Rating]:
        """Every rating, or those of one query; by query_id, document and judge."""
        told = sa.select(ratings, _QUERY.text.label("query")).join_from(ratings, tables.judged_queries, _same_query())
        told = told.where(_RATING.corpus_id == corpus_id)
        if query_id is not None:
            told = told.where(_RATING.query_id == query_id)
        order = (_RATING.query_id, _RATING.doc_id, _RATING.judge)
        with self._database.read() as connection:
            rows = connection.execute(told.order_by(*order)).all()
        return [
            Rating(
                query_id=row.query_id,
                query=row.query,
                doc_id=row.doc_id,
                judge=row.judge,
                by=row.given_by,
                grade=row.grade,
                note=row.note,
                at=time_at(row.created_us),
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class Said:
    """Who gave a grade, and a note to it."""

    judge: str
    by: GivenBy = "person"
    note: str = ""


def put(connection: sa.Connection, corpus_id: str, queries: Iterable[JudgedQuery], judge: str, by: GivenBy) -> None:
    """A judge's grades of queries that are stored; those that he gave their documents before are replaced."""
    at = now_us()
    rows = (
        _row(corpus_id, query.query_id, doc_id, judge, by=by, grade=grade, note="", at=at)
        for query in queries
        for doc_id, grade in query.judgments.items()
    )
    for batch in batches(rows, _BATCH):
        connection.execute(_upsert(connection, keeps_note=True), batch)


def rate(connection: sa.Connection, corpus_id: str, query_id: str, doc_id: str, said: Said, grade: int) -> None:
    """A judge's grade of one document, with a note."""
    row = _row(corpus_id, query_id, doc_id, said.judge, by=said.by, grade=grade, note=said.note, at=now_us())
    connection.execute(_upsert(connection, keeps_note=False), row)


def take_back(connection: sa.Connection, corpus_id: str, query_id: str, doc_id: str, judge: str) -> int | None:
    """Delete a judge's rating. The newest grade that a person gave the document; None where nobody did."""
    this = sa.and_(_RATING.corpus_id == corpus_id, _RATING.query_id == query_id, _RATING.doc_id == doc_id)
    connection.execute(sa.delete(ratings).where(this, _RATING.judge == judge))
    people = sa.select(_RATING.grade).where(this, _RATING.given_by == "person")
    left = people.order_by(_RATING.created_us.desc(), _RATING.judge).limit(1)
    return connection.execute(left).scalar_one_or_none()


def some() -> sa.ColumnElement[bool]:
    """Of a judged query: whether somebody's rating is kept of it."""
    return sa.exists().where(_same_query())


def _row(
    corpus_id: str, query_id: str, doc_id: str, judge: str, *, by: GivenBy, grade: int, note: str, at: int
) -> dict[str, object]:
    key = {"corpus_id": corpus_id, "query_id": query_id, "doc_id": doc_id, "judge": judge}
    return {**key, "given_by": by, "grade": grade, "note": note, "created_us": at}


def _upsert(connection: sa.Connection, *, keeps_note: bool) -> sa.Insert:
    new = insert_into(connection, ratings)
    changed = ("given_by", "grade", "created_us") if keeps_note else ("given_by", "grade", "note", "created_us")
    return new.on_conflict_do_update(
        index_elements=["corpus_id", "query_id", "doc_id", "judge"],
        set_={name: new.excluded[name] for name in changed},
    )


def _same_query() -> sa.ColumnElement[bool]:
    return sa.and_(_RATING.corpus_id == _QUERY.corpus_id, _RATING.query_id == _QUERY.query_id)
