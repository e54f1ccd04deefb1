"""An evaluation report as small as it can be, for tests that only need some of it."""

from __future__ import annotations

from typing import Any

from tribrid.answers.report import EvaluationReport

SMALLEST: dict[str, Any] = {
    "evaluation_id": "e1",
    "corpus_id": "c",
    "eval_dataset": {"sha256": "ab" * 32, "version": 1, "queries": 3, "judgments": 5, "excluded": 0},
    "candidates": {"depth": 50, "sha256": "cd" * 32, "recall_ceiling": 1.0},
    "primary_measure": "ndcg@10",
    "measures": ["ndcg@10"],
    "compared": {"before": "retrieval", "after": "challenger"},
    "before": {"ndcg@10": 0.5},
    "after": {"ndcg@10": 0.5},
    "delta": None,
    "systems": {},
    "verdict": {"decision": "keep", "reasons": ["because"]},
    "latency_ms": {"p50": 1.0, "p95": 2.0, "queries": 3},
    "settings": {"resamples": 100, "confidence": 0.95, "seed": 1},
}


DELTA: dict[str, Any] = {"mean": 0.1, "ci95": [0.0, 0.2], "ci": [0.0, 0.2], "confidence": 0.95, "p_value": 0.5}
DELTA |= {"wins": 1, "losses": 0, "ties": 0}


def compared(dataset: str, measure: str, delta: dict[str, Any] | None) -> EvaluationReport:
    """A report on the eval dataset of this hash, in this primary measure."""
    of = {**SMALLEST["eval_dataset"], "sha256": dataset}
    return report(primary_measure=measure, eval_dataset=of, delta=delta)


def report(**changes: Any) -> EvaluationReport:
    """A report with these fields in place of its own."""
    return EvaluationReport.model_validate(SMALLEST | changes)
