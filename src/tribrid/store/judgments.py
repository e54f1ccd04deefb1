"""Relevance judgments to train from. Never the eval dataset's: those are kept in evalsets.py."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from tribrid.answers.judgments import GivenBy
from tribrid.store import ratings, tables
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.types import JudgedQuery

BATCH_ROWS = 1000
_QUERY = tables.judged_queries.c


class Judgments:
    """Judged queries, by corpus and query_id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        corpus_id: str,
        queries: Sequence[JudgedQuery],
        replace: bool,
        judge: str | None = None,
        by: GivenBy = "person",
    ) -> None:
        """Store the queries; one already there takes the new text and judgments, as does the last of two in a call.
        What a model says is no judgment: it stands beside them as its rating.

        Args:
            replace: first forget every query the corpus had.
            judge: whose grades they are; None: nobody says.
            by: whether the judge is a person or a model; a model has a name.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if replace:
                connection.execute(sa.delete(tables.judged_queries).where(_QUERY.corpus_id == corpus_id))
            upsert = _upsert(connection, replaces=by == "person")
            for batch in batches(queries, BATCH_ROWS):
                connection.execute(
                    upsert,
                    [
                        _row(corpus_id, query.query_id, query.text, query.judgments if by == "person" else {})
                        for query in batch
                    ],
                )
            if judge is not None:
                ratings.put(connection, corpus_id, queries, judge, by)

    def grade(
        self,
        corpus_id: str,
        query_id: str,
        text: str,
        doc_id: str,
        grade: int | None,
        said: ratings.Said | None = None,
    ) -> dict[str, int]:
        """Put one document's grade, beside those that the query has. What it has then, without what models say.

        Args:
            grade: None takes it back: then the newest that another person gave holds, if one did.
            said: whose grade it is; None: nobody says.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        this = sa.and_(_QUERY.corpus_id == corpus_id, _QUERY.query_id == query_id)
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            judgments: dict[str, int] = dict(connection.execute(sa.select(_QUERY.judgments).where(this)).scalar() or {})
            holds = grade
            if grade is None and said is not None:
                holds = ratings.take_back(connection, corpus_id, query_id, doc_id, said.judge)
            if said is None or said.by == "person":
                judgments.pop(doc_id, None)
                judgments |= {} if holds is None else {doc_id: holds}
            connection.execute(_upsert(connection, replaces=True), _row(corpus_id, query_id, text, judgments))
            if grade is not None and said is not None:
                ratings.rate(connection, corpus_id, query_id, doc_id, said, grade)
            connection.execute(
                sa.delete(tables.judged_queries).where(this, _QUERY.judgment_count == 0, ~ratings.some())
            )
        return judgments

    def list(self, corpus_id: str) -> builtins.list[JudgedQuery]:
        """Every judged query, by query_id."""
        every = (
            sa.select(_QUERY.query_id, _QUERY.text, _QUERY.judgments)
            .where(_QUERY.corpus_id == corpus_id)
            .order_by(_QUERY.query_id)
        )
        with self._database.read() as connection:
            return [JudgedQuery(**row._mapping) for row in connection.execute(every)]

    def counts(self, corpus_id: str) -> dict[str, int]:
        """How many `queries` and `judgments` there are."""
        total = sa.func.coalesce(sa.func.sum(_QUERY.judgment_count), 0)
        every = sa.select(sa.func.count(), total).where(_QUERY.corpus_id == corpus_id)
        with self._database.read() as connection:
            queries, judgments = connection.execute(every).one()
        return {"queries": queries, "judgments": int(judgments)}


def _row(corpus_id: str, query_id: str, text: str, judgments: Mapping[str, int]) -> dict[str, object]:
    return {
        "corpus_id": corpus_id,
        "query_id": query_id,
        "text": text,
        "judgments": judgments,
        "judgment_count": len(judgments),
    }


def _upsert(connection: sa.Connection, *, replaces: bool) -> sa.Insert:
    """Of a judged query; one that is there stays as it is, or is replaced."""
    new, key = insert_into(connection, tables.judged_queries), ["corpus_id", "query_id"]
    if not replaces:
        return new.on_conflict_do_nothing(index_elements=key)
    taken = {field: new.excluded[field] for field in ("text", "judgments", "judgment_count")}
    return new.on_conflict_do_update(index_elements=key, set_=taken)
