"""search and log: rank documents for a query, write down what is shown, and join what users did with it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

from tribrid.encoders.budget import Budget
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.experiment import interleave
from tribrid.loop.impressions import logged
from tribrid.loop.serving import Candidates, Ranking, served
from tribrid.store import Store
from tribrid.store.database import now_us
from tribrid.types import (
    FIRST_RANK,
    Candidate,
    Feedback,
    Impression,
    ShownDoc,
    Signal,
)
from tribrid.types.filters import Filter
from tribrid.workspace.corpus import OpenCorpus


class Found(NamedTuple):
    """A search's list as it is logged, its candidates in the same order, how they were ranked, and whether the log took
    it.
    """

    impression: Impression
    shown: list[Candidate]
    ranking: Ranking
    logged: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search asks for: `top_k` results after the first `offset`, of what `filter` lets through; None: of all."""

    query: str
    top_k: int
    offset: int = 0
    filter: Filter | None = None
    client_id: str | None = None

    @property
    def until(self) -> int:
        """The last rank that is shown."""
        return self.offset + self.top_k


def search(corpus: OpenCorpus, asked: Asked, budget: Budget | None = None) -> Found:
    """Rank documents for a query and log what is shown, before anybody sees it. Where the log takes nothing, such as on
    a full disk, what was found is answered all the same.

    A reranker that fails leaves the fused order as it is, and the impression says so.

    Raises:
        Overloaded: the reranker has too much to do.
        Cancelled: whoever asked is gone; nothing is logged, for nobody saw it.
    """
    started, query_id = time.perf_counter(), uuid4().hex
    budget = budget or Budget()
    depth = max(corpus.config.reranking.tribrid_reranker_topn, asked.until)
    retrieved = corpus.retriever.search(asked.query, depth, corpus.selection(asked.filter))
    budget.check()
    candidates = Candidates(corpus, asked.query, retrieved.candidates, budget)
    ranking = served(corpus, candidates.fused, lambda: corpus.scorer, candidates.ranked)
    if not asked.offset:  # a draft is made of the first ranks, and each search has its own
        ranking = interleave(corpus, query_id, ranking, candidates.ranked, asked.top_k)
    budget.check()
    by_id = {c.doc_id: c for c in retrieved.candidates}
    rows = ranking.order[asked.offset : asked.until]
    shown = [by_id[scored.doc_id] for scored in rows]
    impression = Impression(
        query_id=query_id,
        corpus_id=corpus.corpus_id,
        query=asked.query,
        shown=tuple(
            ShownDoc(c.doc_id, rank, scored.score, c.passage.start, c.passage.end, c.legs)
            for rank, (c, scored) in enumerate(zip(shown, rows, strict=True), asked.offset + FIRST_RANK)
        ),
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id is not None,
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
        client_id=asked.client_id,
        trial=ranking.trial,
        filter=asked.filter.given if asked.filter else None,
    )
    is_logged = logged(corpus, impression)
    if is_logged:
        corpus.store.experiments.join(impression)
    return Found(impression, shown, ranking, is_logged)


def log(store: Store, query_id: str, signal: Signal, doc_id: str | None, value: float | None) -> Feedback:
    """Join what a user did to what was shown.

    Raises:
        QueryNotFound: no impression has this query_id.
        NotShown: the document was not among what was shown.
    """
    feedback = Feedback(query_id, signal, doc_id, value, now_us())
    store.logs.add_feedback(feedback)
    return feedback
