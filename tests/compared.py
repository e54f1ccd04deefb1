"""Two systems compared on sixty queries: what a report is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from tribrid.answers.costs import EvaluationCost
from tribrid.answers.report import About, Leakage
from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.inputs import EvaluationInputs, FrozenCandidates
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc

QUERIES = 60
MADE = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
DEPTH = 15
STRENGTH = {
    "sparse": 0.5,
    "dense": 0.8,
    "retrieval": 1.0,
    "base": 0.2,
    "blend_without_cross_encoder": 1.8,
    "challenger": 2.2,
}


def make_inputs(**changes: Any) -> EvaluationInputs:
    """60 judged queries and one without a positive; each system finds the relevant document as well as its strength."""
    generator = np.random.default_rng(4)
    queries = [JudgedQuery(f"q{at:02}", f"question {at}", {f"d{at}_0": 1, f"d{at}_1": 0}) for at in range(QUERIES)]
    candidates = {f"q{at:02}": [f"d{at}_{rank}" for rank in range(DEPTH)] for at in range(QUERIES)}
    systems: dict[str, dict[str, list[ScoredDoc]]] = {name: {} for name in STRENGTH}
    for query_id, doc_ids in candidates.items():
        shared = generator.normal(size=DEPTH)
        for name, strength in STRENGTH.items():
            scores = shared + 0.4 * generator.normal(size=DEPTH)
            scores[0] += strength
            systems[name][query_id] = [ScoredDoc(d, float(s)) for d, s in zip(doc_ids, scores, strict=True)]
    queries.append(JudgedQuery("none", "nobody knows", {"d0_0": 0}))
    defaults: dict[str, Any] = {
        "dataset": EvalDataset("ab" * 32, 2, "wiki", tuple(queries), "nDCG@10", 0),
        "candidates": FrozenCandidates(DEPTH, "cd" * 32, candidates),
        "systems": systems,
        "before": "retrieval",
        "after": "challenger",
        "config": EvaluationConfig.model_validate({"resamples": 500}),
        "latency_ms": [1.0, 2.0, 3.0, 100.0],
        "cost": EvaluationCost(usd=0.0, compute_s=1.5),
        "leakage": Leakage(overlapping=(), exact=0, checked=9, eval_queries=61),
        "about": About(evaluation_id="e1", corpus_id="wiki", created_at=MADE),
    }
    return EvaluationInputs(**(defaults | changes))
