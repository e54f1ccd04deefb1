"""What stands between a ranking and who asked for it: the reranker within its budget, the fused order if it fails,
and whether the fast form of a cross-encoder ranks as well as the exact one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tribrid.config import Config
from tribrid.errors import Cancelled, Failed, ScorerFailed, TribridError, Unavailable
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.scoring.budget import Budget
from tribrid.scoring.cross_encoder import CrossEncoder
from tribrid.scoring.learned import Reading, Scores
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer, above, ranked
from tribrid.scoring.variants import FP32, INT8, MOST_NDCG_LOSS
from tribrid.types import Candidate, Emit, EvalDataset, ScoredDoc
from tribrid.workspace import Workspace, now_us

_MEASURE = "ndcg@10"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ranking:
    """How the candidates are served, best first.

    Attributes:
        order: all of them.
        model_id: who ranked them; None for the first stage.
        fallback: why the reranker that should have ranked them did not.
        candidates: how many were reranked, from the first stage's best on.
        note: what was left undone for want of time, in words.
    """

    order: list[ScoredDoc]
    model_id: str | None = None
    fallback: TribridError | None = None
    candidates: int = 0
    note: str | None = None


def rerank(
    ws: Workspace, corpus_id: str, query: str, candidates: Sequence[Candidate], config: Config, budget: Budget
) -> Ranking:
    """Rerank the best candidates of a search. A reranker that fails leaves the fused order as it is.

    Raises:
        Overloaded, Cancelled: it was not begun.
    """
    depth = config.reranking.tribrid_reranker_topn
    order = [ScoredDoc(c.doc_id, c.score) for c in candidates]
    try:
        scorer = ws.scorer(corpus_id, config)
        if scorer is None or not candidates:
            return Ranking(order)
        budget.limit(config.reranking.reranker_timeout_ms)
        reading = replace(ws.read(corpus_id, query, candidates[:depth], config), budget=budget)
        head = ranked(reading, _scores(scorer, reading))
    except Cancelled:
        raise
    except (Failed, Unavailable) as error:
        ws.fallbacks.add(corpus_id, error, now_us())
        return Ranking(order, fallback=error)
    return Ranking(above(head, order[len(head) :]), scorer.model_id, None, len(head), _note(config, budget))


def _scores(scorer: Scorer, reading: Reading) -> Scores:
    """What the scorer gives.

    Raises:
        ScorerFailed: also where it failed in a way that nobody foresaw.
        TribridError: as Scorer.score.
    """
    try:
        return scorer.score(reading)
    except TribridError:
        raise
    except Exception as error:
        _log.exception("The reranker %s failed unexpectedly.", scorer.model_id)
        raise ScorerFailed(
            f"The reranker failed unexpectedly ({type(error).__name__}); see the server's log."
        ) from error


def _note(config: Config, budget: Budget) -> str | None:
    if budget.read is None:
        return None
    read, of = budget.read
    return (
        f"reranking.reranker_timeout_ms ({config.reranking.reranker_timeout_ms}) was over when {read} of {of} "
        "candidates had been read; the others keep the order that they had."
    )


def settle_forms(
    ws: Workspace,
    config: Config,
    dataset: EvalDataset,
    readings: Mapping[str, Reading],
    scorers: Sequence[Scorer | None],
    emit: Emit,
) -> None:
    """Where int8 serves, see on the eval dataset that it ranks as well as fp32, and serve fp32 if it does not.

    Once for each export, eval dataset and machine. A form that fails is not served; if both do, the evaluation says so.
    """
    for scorer in scorers:
        cross_encoder = scorer.cross_encoder if isinstance(scorer, LearnedScorer | LocalScorer) else None
        if scorer is None or cross_encoder is None or cross_encoder.variant != INT8:
            continue
        known = ws.decisions.in_force(cross_encoder.export, cross_encoder.shipped) or {}
        if any(seen["sha256"] == dataset.sha256 for seen in known.get("eval_datasets", [])):
            continue
        try:
            found = _compare(scorer, cross_encoder, dataset, readings, config.serving.settling_queries, emit)
        except TribridError as error:
            found = {"sha256": dataset.sha256, "accepted": False, "reason": error.detail}
        seen = [*known.get("eval_datasets", []), found]
        decision = {**known, "eval_datasets": seen, "served": INT8 if all(row["accepted"] for row in seen) else FP32}
        ws.decisions.put(cross_encoder.export, decision)
        cross_encoder.use(decision["served"])
        emit("log", {"message": f"of {scorer.model_id}, {decision['served']} serves on this machine", **found})


def _compare(
    scorer: Scorer,
    cross_encoder: CrossEncoder,
    dataset: EvalDataset,
    readings: Mapping[str, Reading],
    most: int,
    emit: Emit,
) -> dict[str, Any]:
    """nDCG@10 of both forms on the same candidates, on at most so many queries spread over the dataset."""
    whole = [query for query in evaluable(dataset.queries) if query.query_id in readings]
    queries = [whole[i] for i in sorted(set(np.linspace(0, len(whole) - 1, most).round().astype(int)))] if whole else []
    found: dict[str, float] = {}
    for step, variant in enumerate((FP32, INT8)):
        cross_encoder.use(variant)
        run: dict[str, list[ScoredDoc]] = {}
        for number, query in enumerate(queries, 1):
            reading = readings[query.query_id]
            run[query.query_id] = ranked(reading, scorer.score(reading)) if reading.candidates else []
            if number % 10 == 0 or number == len(queries):
                done = step * len(queries) + number
                emit("progress", {"stage": "int8 against fp32", "done": done, "total": 2 * len(queries)})
        found[variant] = means(per_query(run, queries, [_MEASURE]))[_MEASURE]
    return {
        "sha256": dataset.sha256,
        "queries": len(queries),
        **{f"{_MEASURE} {variant}": round(mean, 5) for variant, mean in found.items()},
        "accepted": found[FP32] - found[INT8] <= MOST_NDCG_LOSS,
    }
