"""rerank: documents that were retrieved elsewhere, in the order that a search of the corpus would give them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import numpy as np

from tribrid.config import Config
from tribrid.encoders.budget import Budget
from tribrid.evaluation.notes import GIVEN, RETRIEVAL
from tribrid.loop.given_documents import GivenList, GivenQuery, Placed, read_apart, read_given, score_apart
from tribrid.loop.impressions import logged
from tribrid.loop.serving import Ranking, served
from tribrid.loop.trial import Listing, tried
from tribrid.scoring.calibration import first_stage_calibration
from tribrid.scoring.scorer import Scorer
from tribrid.store.database import now_us
from tribrid.types import (
    FIRST_RANK,
    Impression,
    LegScore,
    ShownDoc,
    Team,
    Trial,
)
from tribrid.workspace.corpus import OpenCorpus
from tribrid.workspace.encoders import Encoders


@dataclass(frozen=True, slots=True)
class Reranked:
    """What a rerank answers. `placed`: every document, best first; `probabilities`: of each of them, 0..1.

    `query_id` None: nothing was logged, for want of a corpus or of a database that takes it. `partly`: documents that
    were not read whole. `note`: what was left undone for want of time, in words. `fallback_code`: of the error behind
    `fallback_reason`. `trial`: its part in an experiment.
    """

    query_id: str | None
    placed: list[Placed]
    probabilities: list[float]
    model_id: str
    fallback_reason: str | None
    partly: int
    took_ms: float
    note: str | None = None
    fallback_code: str | None = None
    trial: Trial | None = None


def rerank(
    corpus: OpenCorpus,
    asked: GivenQuery,
    choose: Callable[[], Scorer | None],
    budget: Budget | None = None,
    *,
    serves: bool = False,
) -> Reranked:
    """Order documents that were retrieved elsewhere as a search of the corpus would, and log what is answered.

    Where nobody reranks, and where the reranker fails, the order is that of the first stage's fused score.

    Args:
        choose: who reranks; None for nobody.
        serves: that is whatever serves the corpus, so the call takes part in its experiment.

    Raises:
        InvalidInput: documents that are to be read whole are too long. Overloaded, Cancelled: as `search`.
    """
    started, config, budget = time.perf_counter(), corpus.config, budget or Budget()
    given = read_given(corpus, asked, budget)
    asked.accept(given.partly)
    query_id = uuid4().hex
    ranking = _ranking(corpus, asked, given, choose, budget, query_id if serves else None)
    budget.check()
    placed = given.placed(ranking.order)
    shown = shown_of(asked, given, placed)
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    trial = _of_shown(ranking, given, shown)
    impression = _impression(corpus, asked, ranking, shown, trial, query_id, took_ms)
    is_logged = logged(corpus, impression)
    if is_logged:
        corpus.store.experiments.join(impression)
    calibration = ranking.calibration or first_stage_calibration(config.retrieval)
    return Reranked(
        query_id if is_logged else None,
        placed,
        calibration.probabilities(np.array([score for _, score in placed])).tolist(),
        impression.model_id,
        impression.fallback_reason,
        given.partly,
        impression.took_ms,
        ranking.note,
        ranking.fallback.code if ranking.fallback else None,
        impression.trial,
    )


def _impression(
    corpus: OpenCorpus,
    asked: GivenQuery,
    ranking: Ranking,
    shown: tuple[ShownDoc, ...],
    trial: Trial | None,
    query_id: str,
    took_ms: float,
) -> Impression:
    """What the log keeps."""
    return Impression(
        query_id=query_id,
        corpus_id=corpus.corpus_id,
        query=asked.text,
        shown=shown,
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id not in (None, GIVEN),
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=took_ms,
        created_us=now_us(),
        source="rerank",
        client_id=asked.client_id,
        trial=trial,
        given=tuple(document.doc_id for document in asked.documents),
        given_fields=_given_fields(asked, corpus.config),
    )


def _ranking(
    corpus: OpenCorpus,
    asked: GivenQuery,
    given: GivenList,
    choose: Callable[[], Scorer | None],
    budget: Budget,
    coins: str | None,
) -> Ranking:
    """What is answered: the ranking of who reranks or, where an experiment runs on what serves, what that makes of it.

    Args:
        coins: the query_id; None: the call takes part in no experiment.
    """
    fused = given.first_stage()

    def by(scorer: Scorer) -> Ranking:
        return given.ranked(scorer, corpus.config, budget)

    ranking = served(corpus, fused, choose, by)
    if coins is None:
        return ranking
    return tried(corpus, Listing(ranking, by, fused, given.as_given(), asked.top_n, asked.client_id, coins))


def _of_shown(ranking: Ranking, given: GivenList, shown: Sequence[ShownDoc]) -> Trial | None:
    """The list's part in an experiment, by the documents that the log keeps of it."""
    if ranking.trial is None:
        return None
    teams: dict[str, Team] = {}
    for candidate, team in zip(ranking.order, ranking.trial.teams, strict=False):
        teams.setdefault(given.reading.candidates[int(candidate.doc_id)].doc_id, team)
    return replace(ranking.trial, teams=tuple(teams[doc.doc_id] for doc in shown) if teams else ())


def _given_fields(asked: GivenQuery, config: Config) -> dict[str, dict[str, Any]] | None:
    """What the call said of each document that is learned from: how far it is, what it costs today."""
    names = [field.name for field in config.features.named]
    came = {d.doc_id: {name: d.metadata[name] for name in names if name in d.metadata} for d in asked.documents}
    return {doc_id: fields for doc_id, fields in came.items() if fields} or None


def rerank_apart(
    encoders: Encoders, config: Config, asked: GivenQuery, scorer: Scorer, budget: Budget | None = None
) -> Reranked:
    """Order documents by a scorer that no corpus stands behind. Nothing is logged, so nothing can be learned from it.

    There is no other order to answer with, so everything is read, however long it takes.

    Raises:
        ScorerFailed, Unavailable, Overloaded, Cancelled.
        InvalidInput: as `rerank`.
    """
    started = time.perf_counter()
    budget = budget or Budget()
    budget.limit(None)
    if scorer.cross_encoder is not None:  # reads the texts alone
        placed, partly = score_apart(scorer, asked, config, budget)
    else:
        given = read_apart(encoders, config, asked, budget)
        placed, partly = given.placed(given.reranked(scorer, len(asked.documents), budget)), given.partly
    asked.accept(partly)
    probabilities = scorer.calibration.probabilities(np.array([score for _, score in placed])).tolist()
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    return Reranked(None, placed, probabilities, scorer.model_id, None, partly, took_ms)


def shown_of(asked: GivenQuery, given: GivenList, placed: Sequence[Placed]) -> tuple[ShownDoc, ...]:
    """What the log keeps of the answered list. A doc_id that was given more than once is kept where it stands highest.

    The leg `given` holds the place in the request, as a rank from 1; the first stage's own scores are not known here.
    """
    pairs = zip(given.positions, given.reading.candidates, strict=True)
    behind = {at: candidate for positions, candidate in pairs for at in positions}
    shown: dict[str, ShownDoc] = {}
    for rank, (at, score) in enumerate(placed[: asked.top_n], FIRST_RANK):
        passage, legs = behind[at].passage, {**behind[at].legs, "given": LegScore(at + FIRST_RANK, 0.0)}
        shown.setdefault(passage.doc_id, ShownDoc(passage.doc_id, rank, score, passage.start, passage.end, legs))
    return tuple(shown.values())
