"""A search as its answer."""

from __future__ import annotations

from collections.abc import Mapping

from tribrid.answers.search import FirstStage, LegScores, PassageSpan, SearchAnswer, SearchResult, SearchTrial
from tribrid.app.rerank import UNLOGGED
from tribrid.loop.search import Found
from tribrid.types import Document, Trial


def search_answer(found: Found, documents: Mapping[str, Document]) -> SearchAnswer:
    """The answer to a search."""
    impression, shown, ranking = found.impression, found.shown, found.ranking
    return SearchAnswer(
        query_id=impression.query_id if found.logged else f"{UNLOGGED}{impression.query_id}",
        logged=found.logged,
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
