"""Domain objects as the JSON that users see. Times become ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tribrid.loop.search import Found
from tribrid.store.reviews import StoredTriplet
from tribrid.types import Job, LegScore, ModelVersion, Passage, Trial


def iso(at_us: int | None) -> str | None:
    """A time as text."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()


def job_view(job: Job) -> dict[str, Any]:
    """A job with where it stands; `result` and `problem` are null until there is one."""
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "corpus_id": job.corpus_id,
        "state": job.state,
        "params": dict(job.params),
        "progress": job.progress,
        "result": job.result,
        "problem": job.problem,
        "cancel_requested": job.cancel_requested,
        "created_at": iso(job.created_us),
        "started_at": iso(job.started_us),
        "finished_at": iso(job.finished_us),
    }


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


def model_view(model: ModelVersion) -> dict[str, Any]:
    """A model version with its lineage."""
    manifest = model.manifest
    return {
        "model_id": model.model_id,
        "corpus_id": model.corpus_id,
        "run_id": model.run_id,
        "artifact": model.artifact,
        "created_at": iso(model.created_us),
        **{name: manifest.get(name) for name in ("base", "data", "config", "versions", "metrics")},
    }


def triplet_view(row: StoredTriplet, passages: Mapping[tuple[str, int], Passage]) -> dict[str, Any]:
    """A triplet with the texts it speaks of; a passage that is gone has null for its text."""
    triplet = row.triplet

    def side(key: tuple[str, int]) -> dict[str, Any]:
        passage = passages.get(key)
        return {"doc_id": key[0], "passage": key[1], "text": passage.text if passage else None}

    return {
        "triplet_id": row.triplet_id,
        "status": row.status,
        "query_id": triplet.query_id,
        "query": triplet.query,
        "positive": side(triplet.positive),
        "negative": side(triplet.negative),
        "source": triplet.source,
        "weight": triplet.weight,
        "reason": triplet.reason,
        "evidence": triplet.evidence,
        "remembered": triplet.remembered,
        "observed_at": iso(triplet.observed_us),
    }
