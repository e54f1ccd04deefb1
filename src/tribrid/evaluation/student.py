"""What a student is worth: its ranking beside its teacher's and the first stage's, and how alike their orders are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tribrid.answers.models import OrdersAgree, StudentMeasures
from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.measured import beliefs, compared_values
from tribrid.evaluation.measures import Run, evaluable, means
from tribrid.types import EvalDataset

NDCG, DEPTH = "ndcg@10", 10
Orders = Sequence[tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]]
"""Of each query two scores (n,) of the same candidates."""


def orders_agree(orders: Orders) -> OrdersAgree:
    """How alike the orders of two rankings are, as means over the queries."""
    from scipy.stats import kendalltau  # comes with the extra train

    taus, shared = [], []
    for a, b in orders:
        tau = float(kendalltau(a, b).statistic)
        taus.append(tau if np.isfinite(tau) else 0.0)  # one of them says the same of all
        first = [set(np.argsort(-scores, kind="stable")[:DEPTH].tolist()) for scores in (a, b)]
        shared.append(len(first[0] & first[1]) / max(1, len(first[0])))
    return OrdersAgree(kendall_tau=float(np.mean(taus)), shared_at_10=float(np.mean(shared)))


def measure_student(
    dataset: EvalDataset,
    candidates: Mapping[str, Sequence[str]],
    runs: Mapping[str, Run],
    config: EvaluationConfig,
) -> StudentMeasures:
    """nDCG@10 of each, and how the student differs from the others.

    Args:
        candidates: query_id → doc_ids, the same for all.
        runs: of first_stage, teacher and student.
    """
    queries = dataset.queries
    believed = beliefs(dataset, candidates, list(runs.values()), config.seed)
    shown, compared = {}, {}
    for name, run in runs.items():
        values, drawn = compared_values(run, queries, [NDCG], believed)
        shown[name], compared[name] = means(values)[NDCG], drawn[NDCG]
    over = {
        name: compare(
            compared[name],
            compared["student"],
            resamples=config.resamples,
            confidence=config.confidence,
            seed=config.seed,
        )
        for name in ("first_stage", "teacher")
    }
    return StudentMeasures(
        eval_dataset=dataset.sha256,
        queries=len(evaluable(queries)),
        ndcg_at_10=shown,
        over_first_stage=over["first_stage"],
        over_teacher=over["teacher"],
    )
