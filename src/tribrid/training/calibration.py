"""What a score is worth as a probability, from the scores that training queries got while they were held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize

from tribrid.scoring.calibration import Calibration
from tribrid.training.lists import BAD, UNKNOWN, TrainingList
from tribrid.types.stored import FittedCalibration

LEAST_PAIRS = 20
"""Labelled pairs, of which some are good and some bad, below which a fit would be an accident."""
LEAST_SLOPE = 1e-3
Vector = np.ndarray[Any, np.dtype[np.float64]]


def calibrate(lists: Sequence[TrainingList], held_out: Sequence[Vector]) -> FittedCalibration:
    """Platt's sigmoid, as the manifest keeps it; or only `method: none` and why.

    Only candidates with a label count, by their weight; every list counts the same. Targets are smoothed as Platt does,
    so that a perfect separation does not become certainty.

    Args:
        held_out: for each list, the scores (n,) a blend gave that never saw its cluster; empty where there are none.
    """
    rows = [_labelled(item, scores) for item, scores in zip(lists, held_out, strict=True) if len(scores)]
    if not rows:
        return {"method": "none", "reason": "no query was held out"}
    scores, good, weights = (np.concatenate(column) for column in zip(*rows, strict=True))
    positives = int(good.sum())
    if len(good) < LEAST_PAIRS or positives in (0, len(good)):
        return {"method": "none", "reason": f"{len(good)} labelled pairs were held out, {positives} of them good"}
    target = np.where(good, (positives + 1) / (positives + 2), 1 / (len(good) - positives + 2))
    fitted = _fit(scores, target, weights / weights.sum())
    error = fitted.probabilities(scores) - good
    return {
        "method": "platt",
        "slope": fitted.slope,
        "offset": fitted.offset,
        "pairs": len(good),
        "positives": positives,
        "brier": round(float((weights / weights.sum()) @ error**2), 4),
    }


def _labelled(item: TrainingList, scores: Vector) -> tuple[Vector, np.ndarray[Any, np.dtype[np.bool_]], Vector]:
    known = item.grades != UNKNOWN
    weights = np.array([item.labels.weights.get(c.doc_id, 0.0) for c in item.candidates])[known]
    return scores[known], item.grades[known] > BAD, weights / max(float(weights.sum()), 1e-9)


def _fit(scores: Vector, target: Vector, weights: Vector) -> Calibration:
    # In units of the scores' own spread the problem is well conditioned, whatever their scale.
    middle, spread = float(scores.mean()), max(float(scores.std()), 1e-9)
    standard = (scores - middle) / spread

    def loss(found: Vector) -> tuple[float, Vector]:
        inside = found[0] * standard + found[1]
        value = weights @ (np.logaddexp(0.0, inside) - target * inside)
        residual = weights * (1 / (1 + np.exp(-inside)) - target)
        return float(value), np.array([residual @ standard, residual.sum()])

    slope, offset = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE, 50.0), (-50.0, 50.0)]
    ).x.tolist()
    return Calibration(slope / spread, offset - slope * middle / spread)
