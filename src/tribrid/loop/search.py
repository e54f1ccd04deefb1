"""search and log: rank documents for a query, write down what is shown, and join what users did with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

from tribrid.encoders.budget import Budget
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.impressions import shown
from tribrid.loop.serving import Candidates, Ranking, served
from tribrid.loop.trial import Listing, tried
from tribrid.scoring.scorer import by_document
from tribrid.store import Store
from tribrid.store.database import now_us
from tribrid.types import (
    FIRST_RANK,
    Candidate,
    Document,
    Feedback,
    Impression,
    ShownDoc,
    Signal,
)
from tribrid.types.filters import Filter
from tribrid.workspace.corpus import OpenCorpus


class Found(NamedTuple):
    """A search's list as it is logged, with what it shows and the candidates in the same order, how they were ranked,
    whether the log took it, and those of its documents that exist, by doc_id.
    """

    impression: Impression
    rows: tuple[ShownDoc, ...]
    shown: list[Candidate]
    ranking: Ranking
    logged: bool
    documents: Mapping[str, Document]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search asks for: `top_k` results after the first `offset`, of what `filter` lets through (None: of all);
    documents, or passages.
    """

    query: str
    top_k: int
    offset: int = 0
    filter: Filter | None = None
    client_id: str | None = None
    per_passage: bool = False

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
    candidates = _candidates(corpus, asked, budget or Budget())
    ranking = served(corpus, candidates.fused, lambda: corpus.scorer, candidates.ranked)
    if not asked.offset and not asked.per_passage:  # a draft is of the first documents, and each search has its own
        listing = Listing(ranking, candidates.ranked, candidates.fused, None, asked.top_k, asked.client_id, query_id)
        ranking = tried(corpus, listing)
    candidates.budget.check()
    order = ranking.order[asked.offset : asked.until]
    best = candidates.named(order)
    rows = tuple(
        ShownDoc(c.doc_id, rank, scored.score, c.passage.start, c.passage.end, c.legs)
        for rank, (c, scored) in enumerate(zip(best, order, strict=True), asked.offset + FIRST_RANK)
    )
    impression = Impression(
        query_id=query_id,
        corpus_id=corpus.corpus_id,
        query=asked.query,
        shown=_once(rows),
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id is not None,
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
        client_id=asked.client_id,
        trial=ranking.trial,
        filter=asked.filter.given if asked.filter else None,
    )
    is_logged, documents = shown(corpus, impression)
    if is_logged:
        corpus.store.experiments.join(impression)
    return Found(impression, rows, best, ranking, is_logged, documents)


def _candidates(corpus: OpenCorpus, asked: Asked, budget: Budget) -> Candidates:
    depth = max(corpus.config.reranking.tribrid_reranker_topn, asked.until)
    selection = corpus.selection(asked.filter)
    retrieved = corpus.retriever.search(asked.query, depth, selection, per_passage=asked.per_passage)
    budget.check()
    name = _passage_name if asked.per_passage else by_document
    return Candidates(corpus, asked.query, retrieved.candidates, budget, name)


def _passage_name(candidate: Candidate) -> str:
    return f"{candidate.doc_id}\n{candidate.passage.ordinal}"  # no id has a line's end


def _once(rows: Sequence[ShownDoc]) -> tuple[ShownDoc, ...]:
    """Each document where it stands highest: feedback is about documents."""
    first: dict[str, ShownDoc] = {}
    for row in rows:
        first.setdefault(row.doc_id, row)
    return tuple(first.values())


def log(store: Store, query_id: str, signal: Signal, doc_id: str | None, value: float | None) -> Feedback:
    """Join what a user did to what was shown.

    Raises:
        QueryNotFound: no impression has this query_id.
        NotShown: the document was not among what was shown.
    """
    feedback = Feedback(query_id, signal, doc_id, value, now_us())
    store.logs.add_feedback(feedback)
    return feedback
