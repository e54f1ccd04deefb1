"""Which labels are worth most: the queries that most clients ask, ranked with everything that ranks here."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from tribrid.answers.nextlabels import DocumentJudged, DocumentToJudge, NextLabels, QueryToJudge
from tribrid.errors import TribridError
from tribrid.evaluation.nextlabels import POOL_DEPTH, Asked, most_telling
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.evaluation.readiness import SPREAD, detectable, standing
from tribrid.loop.eval_queries import dataset_in_force
from tribrid.loop.promote import newest_model
from tribrid.mining.splits import QueryMatcher
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import LearnedScorer, ranked
from tribrid.types import JudgedQuery, Passage
from tribrid.workspace.corpus import OpenCorpus

READ_S = 1.5
"""After which no further query is ranked: who asks waits for the answer."""
MOST_ASKED = 100
"""Frequent queries of the log, and queries of the eval dataset, that may be looked at."""
SNIPPET_CHARS = 400


def next_labels(corpus: OpenCorpus, most: int, seed: int) -> NextLabels:
    """The queries and documents whose labels would tell most.

    Args:
        most: queries, at most.
        seed: of the order of the documents.

    Raises:
        CorpusNotFound, StaleIndex, ModelUnavailable.
    """
    dataset = dataset_in_force(corpus)
    judged = dataset.queries if dataset is not None and dataset.evidence is None else ()
    scorers, failed = scorers_of(corpus)
    looked_at, passages = rank_queries(corpus, _wanted(corpus, judged), scorers, failed, within_s=READ_S)
    chosen = most_telling(looked_at, most)
    spread = _spread(corpus)
    known = sum(query.has_positive for query in judged)
    then = known + sum(query.query_id is None for query in chosen)
    titles = _titles(corpus, {doc for query in chosen for doc in (*query.pool(seed), *(query.grades or {}))})
    return NextLabels(
        corpus_id=corpus.corpus_id,
        guideline=corpus.config.evaluation.guideline,
        summary=standing(known, spread),
        queries=tuple(_view(query, seed, titles, passages[query.text]) for query in chosen),
        eval_queries=known,
        detectable_now=_shown(known, spread),
        detectable_then=_shown(then, spread),
        systems=("sparse", "dense", RETRIEVAL, *scorers),
        failed=failed,
        looked_at=len(looked_at),
    )


def _spread(corpus: OpenCorpus) -> float:
    """The standard deviation of per-query differences: of the last comparison, else what is assumed."""
    compared = corpus.store.evaluations.differences(corpus.corpus_id)
    return statistics.stdev(compared[1]) if compared else SPREAD


def _shown(queries: int, spread: float) -> float | None:
    return round(detectable(queries, spread), 4) if queries else None


def _titles(corpus: OpenCorpus, doc_ids: Collection[str]) -> dict[str, str]:
    documents = corpus.store.documents.get_many(corpus.corpus_id, doc_ids)
    return {doc_id: document.title for doc_id, document in documents.items()}


def _wanted(corpus: OpenCorpus, judged: Sequence[JudgedQuery]) -> list[tuple[str, int, JudgedQuery | None]]:
    """Text, clients and what is judged of each query that may be worth it: of the log those of most clients, but for
    what the eval dataset or the training judgments ask, and then those of the dataset.
    """
    asked = corpus.store.logs.crowd(corpus.corpus_id, MOST_ASKED).queries
    own = {query.text: query for query in judged}
    done = QueryMatcher([*own, *(query.text for query in corpus.store.judgments.list(corpus.corpus_id))])
    new = [(text, clients, None) for text, clients in asked.items() if not done.matches(text)]
    again = [(text, asked.get(text, 0), query) for text, query in own.items()]
    return [*new, *again[:MOST_ASKED]]


def scorers_of(corpus: OpenCorpus) -> tuple[dict[str, LearnedScorer], dict[str, str]]:
    """What serves and the newest model, where there are some; and those that cannot rank."""
    named = {"champion": corpus.champion_id, "challenger": newest_model(corpus, None)}
    found: dict[str, LearnedScorer] = {}
    failed: dict[str, str] = {}
    for name, model_id in named.items():
        if model_id is None or (name == "challenger" and model_id == corpus.champion_id):
            continue
        try:
            found[name] = corpus.learned(model_id)
        except TribridError as error:  # said, and the others are asked
            failed[name] = error.detail
    return found, failed


def rank_queries(
    corpus: OpenCorpus,
    wanted: Iterable[tuple[str, int, JudgedQuery | None]],
    scorers: dict[str, LearnedScorer],
    failed: dict[str, str],
    *,
    depth: int = POOL_DEPTH,
    within_s: float = math.inf,
) -> tuple[list[Asked], dict[str, dict[str, Passage]]]:
    """As many of the queries as time allows, ranked; and the passages that were found for each.

    Args:
        scorers, failed: as of `scorers_of`; who cannot rank goes from one to the other.
        depth: of each ranking, the first documents that are kept.
    """
    found: list[Asked] = []
    passages: dict[str, dict[str, Passage]] = {}
    started, kept = time.monotonic(), corpus.kept_tokens()
    for text, clients, query in wanted:
        if found and time.monotonic() - started > within_s:
            break
        retrieved = corpus.retriever.search(text, corpus.config.reranking.tribrid_reranker_topn)
        reading = corpus.read(text, retrieved.candidates, kept)
        rankings = {leg: [doc.doc_id for doc in run[:depth]] for leg, run in retrieved.leg_runs.items()}
        rankings[RETRIEVAL] = [candidate.doc_id for candidate in retrieved.candidates[:depth]]
        rankings |= _reranked(reading, scorers, failed, depth)
        passages[text] = {candidate.doc_id: candidate.passage for candidate in retrieved.candidates}
        query_id, grades = (query.query_id, query.judgments) if query else (None, None)
        found.append(Asked(text, clients, rankings, query_id, grades))
    return found, passages


def _reranked(
    reading: Reading, scorers: dict[str, LearnedScorer], failed: dict[str, str], depth: int
) -> dict[str, list[str]]:
    """The first documents by each model; one that cannot rank is noted, and not asked again."""
    found = {}
    for name, scorer in list(scorers.items()) if reading.candidates else ():
        try:
            found[name] = [doc.doc_id for doc in ranked(reading, scorer.score(reading))[:depth]]
        except TribridError as error:
            failed[name] = error.detail
            del scorers[name]
    return found


def _view(query: Asked, seed: int, titles: Mapping[str, str], passages: Mapping[str, Passage]) -> QueryToJudge:
    def snippet(doc_id: str) -> str:
        return passages[doc_id].text[:SNIPPET_CHARS] if doc_id in passages else ""

    return QueryToJudge(
        text=query.text,
        query_id=query.query_id,
        why=query.why,
        clients=query.clients,
        disagreement=round(query.disagreement, 4),
        documents=tuple(
            DocumentToJudge(doc_id=doc_id, title=titles.get(doc_id, ""), snippet=snippet(doc_id))
            for doc_id in query.pool(seed)
        ),
        judged=tuple(
            DocumentJudged(doc_id=doc_id, title=titles.get(doc_id, ""), grade=grade)
            for doc_id, grade in sorted((query.grades or {}).items())
        ),
    )
