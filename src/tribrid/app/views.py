"""Domain objects as the JSON that users see. Times become ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tribrid.loop.search import Found
from tribrid.types import LegScore, Trial


def iso(at_us: int | None) -> str | None:
    """A time as text."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()


def legs_view(legs: Mapping[str, LegScore]) -> dict[str, Any]:
    """Each leg's rank and score, null for a leg that did not return the document."""
    return {
        name: {"rank": legs[name].rank, "score": legs[name].score} if name in legs else None
        for name in ("sparse", "dense")
    }


def search_view(found: Found, documents: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a search."""
    impression, shown, ranking = found
    results = []
    for row, candidate in zip(impression.shown, shown, strict=True):
        document = documents.get(row.doc_id)
        results.append(
            {
                "rank": row.rank,
                "doc_id": row.doc_id,
                "title": candidate.passage.title,
                "uri": document.uri if document else "",
                "text": candidate.passage.text,
                "score": row.score,
                "passage": {"start": row.start, "end": row.end},
                "first_stage": {"rank": candidate.rank, "score": candidate.score, "legs": legs_view(candidate.legs)},
            }
        )
    return {
        "query_id": impression.query_id,
        "results": results,
        "reranked": impression.reranked,
        "reranked_candidates": ranking.candidates,
        "fallback_reason": impression.fallback_reason,
        "fallback_code": ranking.fallback.code if ranking.fallback else None,
        "note": ranking.note,
        "model_id": impression.model_id,
        "experiment": trial_view(impression.trial),
        "took_ms": impression.took_ms,
    }


def trial_view(trial: Trial | None) -> dict[str, Any] | None:
    """A search's part in an experiment; null for none."""
    if trial is None:
        return None
    counts = trial.excluded is None
    return {"experiment_id": trial.experiment_id, "interleaved": counts, "excluded": trial.excluded}
