"""Whether the fast form of a cross-encoder, int8, ranks as well as the exact one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tribrid.encoders.cross_encoder import CrossEncoder
from tribrid.encoders.variants import FP32, INT8, MOST_NDCG_LOSS
from tribrid.errors import Cancelled, TribridError
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer, ranked
from tribrid.types import Emit, EvalDataset, ScoredDoc
from tribrid.workspace.corpus import OpenCorpus

_MEASURE = "ndcg@10"


def settle_forms(
    corpus: OpenCorpus,
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
        known = corpus.folder.decisions.in_force(cross_encoder.export, cross_encoder.shipped) or {}
        if any(seen["sha256"] == dataset.sha256 for seen in known.get("eval_datasets", [])):
            continue
        try:
            found = _compare(scorer, cross_encoder, dataset, readings, corpus.config.serving.settling_queries, emit)
        except Cancelled:  # says nothing of the form, and what is put down holds for good
            raise
        except TribridError as error:
            found = {"sha256": dataset.sha256, "accepted": False, "reason": error.detail}
        seen = [*known.get("eval_datasets", []), found]
        decision = {**known, "eval_datasets": seen, "served": INT8 if all(row["accepted"] for row in seen) else FP32}
        corpus.folder.decisions.put(cross_encoder.export, decision)
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
