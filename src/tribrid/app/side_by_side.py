"""One query as several systems rank it, and why a model ranks a document where it does. Nothing here is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tribrid.answers.search import (
    ComparedDocument,
    ComparedRank,
    ComparedRanking,
    Explanation,
    FirstStage,
    LegScores,
    MovedBy,
    PastQuery,
    SideBySide,
)
from tribrid.encoders.budget import Budget
from tribrid.errors import DocumentNotFound, NoModel, TribridError
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.loop.arms import require_model
from tribrid.loop.serving import Candidates, Ranking
from tribrid.mining.splits import cluster_of
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import LearnedScorer, Scorer
from tribrid.types import Candidate, Document
from tribrid.workspace.corpus import OpenCorpus

CHAMPION = "champion"
_TOLD = 8
"""Features that an explanation names."""
_REMEMBERED = 3
"""Past queries that it names."""


def compare(corpus: OpenCorpus, query: str, systems: Sequence[str], top_k: int) -> SideBySide:
    """See `Corpus.compare`. A system that cannot rank now says why in its ranking's `problem`.

    Raises:
        ModelNotFound: the corpus has no such model.
    """
    named = list(dict.fromkeys(systems))
    for system in named:
        if system not in (RETRIEVAL, CHAMPION):
            require_model(corpus, system)
    found = _candidates(corpus, query, top_k)
    rankings = tuple(_ranking(corpus, found, system, top_k) for system in named)
    shown = dict.fromkeys(row.doc_id for ranking in rankings for row in ranking.ranks)
    stored = corpus.store.documents.get_many(corpus.corpus_id, shown)
    by_id = {candidate.doc_id: candidate for candidate in found.found}
    documents = {doc_id: _document(by_id[doc_id], stored) for doc_id in shown}
    return SideBySide(query=query, rankings=rankings, documents=documents)


def explain(corpus: OpenCorpus, query: str, doc_id: str, model_id: str | None) -> Explanation:
    """See `Corpus.explain`."""
    if model_id is not None:
        require_model(corpus, model_id)
    scorer = corpus.learned(model_id) if model_id else corpus.scorer
    if not isinstance(scorer, LearnedScorer):
        raise NoModel("No trained model serves, so there is nothing to explain but the first stage's scores.")
    best = _candidates(corpus, query, 1).found[: corpus.config.reranking.tribrid_reranker_topn]
    at = next((at for at, candidate in enumerate(best) if candidate.doc_id == doc_id), None)
    if at is None:
        raise DocumentNotFound(f"{doc_id!r} is not among the {len(best)} candidates that are reranked.", doc_id=doc_id)
    return _explained(corpus, scorer, corpus.read(query, best), at)


def _explained(corpus: OpenCorpus, scorer: LearnedScorer, reading: Reading, at: int) -> Explanation:
    doc_id = reading.candidates[at].doc_id
    score, effects = scorer.reranker.effects(reading, at)
    past = sorted(scorer.reranker.recalled(reading, doc_id), key=lambda row: -row[1])
    largest = sorted((row for row in effects if row[2]), key=lambda row: -abs(row[2]))[:_TOLD]
    return Explanation(
        doc_id=doc_id,
        model_id=scorer.model_id,
        score=score,
        moved_by=tuple(MovedBy(feature=name, value=value, effect=effect) for name, value, effect in largest),
        past_queries=len(past),
        likeness=past[0][1] if past else None,
        past=_named(corpus, scorer.model_id, past[:_REMEMBERED]),
    )


def _named(corpus: OpenCorpus, model_id: str, past: Sequence[tuple[str, float]]) -> tuple[PastQuery, ...]:
    """Past queries by their words, as the triplets that the model learned from still have them."""
    data = corpus.store.models.get(model_id).manifest.get("data") or {}
    texts = corpus.store.triplets.queries(str(data.get("triplet_set_id"))) if past else []
    words = {cluster_of(text): text for text in texts}
    return tuple(PastQuery(query=words.get(cluster), likeness=likeness) for cluster, likeness in past)


def _candidates(corpus: OpenCorpus, query: str, top_k: int) -> Candidates:
    depth = max(corpus.config.reranking.tribrid_reranker_topn, top_k)
    return Candidates(corpus, query, corpus.retriever.search(query, depth).candidates, Budget())


def _ranking(corpus: OpenCorpus, found: Candidates, system: str, top_k: int) -> ComparedRanking:
    try:
        ranking = _ranked(corpus, found, system)
    except TribridError as error:
        return ComparedRanking(system=system, model_id=None, problem=error.detail, ranks=())
    rows = enumerate(ranking.order[:top_k], 1)
    ranks = tuple(ComparedRank(doc_id=row.doc_id, rank=rank, score=row.score) for rank, row in rows)
    return ComparedRanking(system=system, model_id=ranking.model_id, problem=None, ranks=ranks)


def _ranked(corpus: OpenCorpus, found: Candidates, system: str) -> Ranking:
    if system == RETRIEVAL:
        return Ranking(found.fused)
    scorer: Scorer | None = corpus.scorer if system == CHAMPION else corpus.learned(system)
    return Ranking(found.fused) if scorer is None or not found.found else found.ranked(scorer)


def _document(candidate: Candidate, stored: Mapping[str, Document]) -> ComparedDocument:
    passage, document = candidate.passage, stored.get(candidate.doc_id)
    return ComparedDocument(
        doc_id=candidate.doc_id,
        title=passage.title,
        uri=document.uri if document else "",
        text=passage.text,
        first_stage=FirstStage(rank=candidate.rank, score=candidate.score, legs=LegScores(**candidate.legs)),
    )
