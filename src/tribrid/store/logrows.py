"""Impressions and feedback as rows. A list is kept as JSON arrays: half the size of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tribrid.store.segment_reading import ListKey
from tribrid.types import Feedback, Impression, LegScore, ShownDoc


def pack(shown: Sequence[ShownDoc]) -> list[list[Any]]:
    """A list as arrays [doc_id, rank, score, start, end, {leg: [rank, score]}]."""
    return [
        [doc.doc_id, doc.rank, doc.score, doc.start, doc.end, {name: [s.rank, s.score] for name, s in doc.legs.items()}]
        for doc in shown
    ]


def unpack(packed: Sequence[Sequence[Any]]) -> tuple[ShownDoc, ...]:
    """The list that `pack` made arrays of."""
    return tuple(
        ShownDoc(doc_id, rank, score, start, end, {name: LegScore(*leg) for name, leg in legs.items()})
        for doc_id, rank, score, start, end, legs in packed
    )


def impression_row(impression: Impression) -> dict[str, object]:
    """The row of an impression; the database numbers it."""
    return {
        "query_id": impression.query_id,
        "corpus_id": impression.corpus_id,
        "query": impression.query,
        "shown": pack(impression.shown),
        "model_id": impression.model_id,
        "reranked": impression.reranked,
        "fallback_reason": impression.fallback_reason,
        "took_ms": impression.took_ms,
        "created_us": impression.created_us,
        "source": impression.source,
        "client_id": impression.client_id,
        "given": None if impression.given is None else list(impression.given),
        "filter": impression.filter,
        "given_fields": impression.given_fields,
    }


def impression_of(row: sa.Row[Any]) -> Impression:
    """The impression of a whole row."""
    fields = dict(row._mapping)
    del fields["impression_number"]
    given = None if row.given is None else tuple(row.given)
    return Impression(**{**fields, "shown": unpack(row.shown), "given": given})


def feedback_row(impression_number: int, feedback: Feedback) -> dict[str, object]:
    """The row of a signal on the impression with this number."""
    return {
        "impression_number": impression_number,
        "signal": str(feedback.signal),
        "doc_id": feedback.doc_id,
        "value": feedback.value,
        "created_us": feedback.created_us,
    }


def late_row(key: ListKey, feedback: Feedback) -> dict[str, object]:
    """The row of a signal on a list of a segment."""
    return {
        "segment_number": key.segment,
        "list_number": key.list_number,
        "signal": str(feedback.signal),
        "doc_id": feedback.doc_id,
        "value": feedback.value,
        "created_us": feedback.created_us,
    }
