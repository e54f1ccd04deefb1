"""Domain objects as the JSON that users see. Times become ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tribrid.answers.search import FirstStage, LegScores, PassageSpan, SearchAnswer, SearchResult, SearchTrial
from tribrid.loop.search import Found
from tribrid.store.reviews import StoredTriplet
from tribrid.types import Document, Job, ModelVersion, Passage, Trial


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


def search_answer(found: Found, documents: Mapping[str, Document]) -> SearchAnswer:
    """The answer to a search."""
    impression, shown, ranking = found
    return SearchAnswer(
        query_id=impression.query_id,
        results=tuple(
            SearchResult(
                rank=row.rank,
                doc_id=row.doc_id,
                title=candidate.passage.title,
                uri=documents[row.doc_id].uri if row.doc_id in documents else "",
                text=candidate.passage.text,
                score=row.score,
                passage=PassageSpan(start=row.start, end=row.end),
                first_stage=FirstStage(rank=candidate.rank, score=candidate.score, legs=LegScores(**candidate.legs)),
            )
            for row, candidate in zip(impression.shown, shown, strict=True)
        ),
        reranked=impression.reranked,
        reranked_candidates=ranking.candidates,
        fallback_reason=impression.fallback_reason,
        fallback_code=ranking.fallback.code if ranking.fallback else None,
        note=ranking.note,
        model_id=impression.model_id,
        experiment=search_trial(impression.trial),
        took_ms=impression.took_ms,
    )


def search_trial(trial: Trial | None) -> SearchTrial | None:
    """A search's part in an experiment; None for none."""
    if trial is None:
        return None
    return SearchTrial(experiment_id=trial.experiment_id, interleaved=trial.excluded is None, excluded=trial.excluded)


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
