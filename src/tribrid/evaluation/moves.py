"""What a report keeps of a query's rankings: their first documents, and where the relevant ones stood and stand."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.answers.report import RelevantDoc, TopDoc
from tribrid.evaluation.measures import Run
from tribrid.types import FIRST_RANK, JudgedQuery, ScoredDoc, rank_order

TOP = 10
"""Documents of each ranking kept in a query's row."""
MOST = 20
"""Documents named of a query; the rest is counted."""


def top(run: Run, query: JudgedQuery) -> tuple[TopDoc, ...]:
    """The first documents of a ranking with their grades."""
    docs = rank_order(run.get(query.query_id, ()))[:TOP]
    return tuple(
        TopDoc(rank=rank, doc_id=doc.doc_id, score=doc.score, grade=query.judgments.get(doc.doc_id))
        for rank, doc in enumerate(docs, start=FIRST_RANK)
    )


def relevant_moves(before: Run, after: Run, query: JudgedQuery) -> list[RelevantDoc]:
    """The relevant documents with both ranks, the highest grade first, then the best rank after."""
    ranks = [_ranks(run.get(query.query_id, ())) for run in (before, after)]
    found = [
        RelevantDoc(doc_id=doc_id, grade=grade, before=ranks[0].get(doc_id), after=ranks[1].get(doc_id))
        for doc_id, grade in query.judgments.items()
        if grade >= 1
    ]
    return sorted(found, key=_order)


def _ranks(docs: Sequence[ScoredDoc]) -> dict[str, int]:
    return {doc.doc_id: rank for rank, doc in enumerate(rank_order(docs), start=FIRST_RANK)}


def _order(found: RelevantDoc) -> tuple[float, float, float, str]:
    missing = float("inf")
    return -found.grade, found.after or missing, found.before or missing, found.doc_id
