"""search and log: rank documents for a query, write down what is shown, and join what users did with it."""

from __future__ import annotations

import time
from typing import NamedTuple
from uuid import uuid4

from tribrid.encoders.budget import Budget
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.experiment import interleave
from tribrid.loop.serving import Candidates, Ranking, served
from tribrid.store.database import now_us
from tribrid.types import (
    Candidate,
    Feedback,
    Impression,
    ShownDoc,
    Signal,
)
from tribrid.workspace import Workspace


class Found(NamedTuple):
    """A search's list as it is logged, its candidates in the same order, and how they were ranked."""

    impression: Impression
    shown: list[Candidate]
    ranking: Ranking


def search(
    ws: Workspace,
    corpus_id: str,
    query: str,
    top_k: int,
    client_id: str | None = None,
    budget: Budget | None = None,
) -> Found:
    """Rank documents for a query and log what is shown, before anybody sees it.

    A reranker that fails leaves the fused order as it is, and the impression says so.

    Raises:
        Overloaded: the reranker has too much to do.
        Cancelled: whoever asked is gone; nothing is logged, for nobody saw it.
    """
    started, query_id = time.perf_counter(), uuid4().hex
    config, budget = ws.config(corpus_id), budget or Budget()
    retrieved = ws.retriever(corpus_id, config).search(query, max(config.reranking.tribrid_reranker_topn, top_k))
    budget.check()
    candidates = Candidates(ws, corpus_id, query, retrieved.candidates, config, budget)
    ranking = served(ws, corpus_id, candidates.fused, lambda: ws.scorer(corpus_id, config), candidates.ranked)
    ranking = interleave(ws, corpus_id, config, query_id, ranking, candidates.ranked, top_k)
    budget.check()
    by_id = {c.doc_id: c for c in retrieved.candidates}
    shown = [by_id[scored.doc_id] for scored in ranking.order[:top_k]]
    impression = Impression(
        query_id=query_id,
        corpus_id=corpus_id,
        query=query,
        shown=tuple(
            ShownDoc(c.doc_id, rank, scored.score, c.passage.start, c.passage.end, c.legs)
            for rank, (c, scored) in enumerate(zip(shown, ranking.order, strict=False), 1)
        ),
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id is not None,
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
        client_id=client_id,
        trial=ranking.trial,
    )
    ws.store.logs.add_impression(impression)
    ws.store.experiments.join(impression)
    return Found(impression, shown, ranking)


def log(ws: Workspace, query_id: str, signal: Signal, doc_id: str | None, value: float | None) -> Feedback:
    """Join what a user did to what was shown.

    Raises:
        QueryNotFound: no impression has this query_id.
        NotShown: the document was not among what was shown.
    """
    feedback = Feedback(query_id, signal, doc_id, value, now_us())
    ws.store.logs.add_feedback(feedback)
    return feedback
