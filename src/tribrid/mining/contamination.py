"""Which rows of the training data ask what the eval dataset asks: both sides by name, for whoever has to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from tribrid.corpus.lexical import normalise
from tribrid.mining.splits import QueryMatcher
from tribrid.types import JudgedQuery, Triplet


class ContaminatedRow(TypedDict):
    """A training query that is, or nearly is, an eval query; the `sources` of its labels; `documents`: its positives
    that the eval dataset calls relevant too.
    """

    eval_query_id: str
    training_query_id: str
    training_query: str
    sources: list[str]
    documents: list[str]


def contaminated_rows(eval_queries: Iterable[JudgedQuery], triplets: Sequence[Triplet]) -> list[ContaminatedRow]:
    """One row for each training query that is, or nearly is, an eval query, by eval query_id."""
    rows_of: dict[str, list[Triplet]] = {}
    for triplet in triplets:
        rows_of.setdefault(normalise(triplet.query), []).append(triplet)
    matcher = QueryMatcher(rows_of)
    return [
        _row(query, rows_of[text])
        for query in sorted(eval_queries, key=lambda query: query.query_id)
        for text in matcher.near(query.text)
    ]


def _row(query: JudgedQuery, triplets: Sequence[Triplet]) -> ContaminatedRow:
    relevant = {doc_id for doc_id, grade in query.judgments.items() if grade >= 1}
    return {
        "eval_query_id": query.query_id,
        "training_query_id": triplets[0].query_id,
        "training_query": triplets[0].query,
        "sources": sorted({str(triplet.source) for triplet in triplets}),
        "documents": sorted({triplet.positive[0] for triplet in triplets} & relevant),
    }
