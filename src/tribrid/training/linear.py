"""The blend's linear part: a listwise model pulled towards where it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from tribrid.training.onnx_blend import Vector

RIDGE_LISTS, LEAST_RIDGE, MOST_RIDGE = 20.0, 0.03, 1.0
"""How hard the linear model is pulled towards its start, where labels can be trusted: so many lists' worth, divided by
the lists there are, within these bounds (docs/decisions/0011-what-is-known-before-any-label.md)."""
SCALES = (0.1, 10.0)
"""What the start's scores may be multiplied by before learning begins."""
TRUSTED = 0.5
"""Mean trust in lists (each list's surest label) from which on labels are taken at their word. Guessed queries are not
like real ones, and no held-out guess can show it: the less labels are trusted, the harder the fused ranking pulls."""

Loss = Callable[[Vector], tuple[float, Vector]]
"""Of scores (rows,), with its gradient."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled candidates of many lists, stacked. `sizes` are rows a list; `grades` are 0, 1, 2."""

    columns: np.ndarray[Any, np.dtype[np.float32]]
    grades: np.ndarray[Any, np.dtype[np.int64]]
    weights: Vector
    sizes: list[int]


def fit_linear(columns: Vector, rows: Rows, start: Vector, directions: Sequence[int]) -> Vector:
    """The weights (features,) of least loss, with a ridge towards the scaled start: the harder, the less the labels are
    trusted.

    Args:
        columns: standardised features (rows, features).
        start: weights (features,) to be pulled towards, whatever their scale.
        directions: of each feature: 1 its weight is never negative, -1 never positive, 0 either.
    """
    loss = _listwise(rows)
    start = start * _scale(columns @ start, loss)
    evidence = min(MOST_RIDGE, max(LEAST_RIDGE, RIDGE_LISTS / len(rows.sizes)))
    ridge = evidence / min(1.0, max(float(_surest(rows).mean()), 1e-6) / TRUSTED)

    def penalised(weights: Vector) -> tuple[float, Vector]:
        value, slope = loss(columns @ weights)
        pull = weights - start
        return value + ridge * float(pull @ pull), columns.T @ slope + 2 * ridge * pull

    found: Vector = minimize(
        penalised,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0 if to > 0 else None, 0 if to < 0 else None) for to in directions],
        options={"maxiter": 200},
    ).x
    return found


def _listwise(rows: Rows) -> Loss:
    """Weighted listwise softmax cross-entropy of scores, and its gradient.

    A list counts as much as its surest label; a candidate stands in the softmax's denominator by its weight.

    References: Cao et al., Learning to rank: from pairwise approach to listwise approach, ICML 2007.
    """
    starts = np.concatenate([[0], np.cumsum(rows.sizes)[:-1]]).astype(np.intp)
    owner = np.repeat(np.arange(len(rows.sizes)), rows.sizes)
    sure = np.log(np.maximum(rows.weights, 1e-6))
    gain = rows.grades * rows.weights
    target = gain / np.add.reduceat(gain, starts)[owner]
    importance = _surest(rows)
    importance = importance / importance.sum()

    def loss(scores: Vector) -> tuple[float, Vector]:
        scores = scores + sure
        scores -= np.maximum.reduceat(scores, starts)[owner]
        exponent = np.exp(scores)
        total = np.add.reduceat(exponent, starts)
        log_p = scores - np.log(total)[owner]
        value = -(importance[owner] * target * log_p).sum()
        return float(value), importance[owner] * (exponent / total[owner] - target)

    return loss


def _surest(rows: Rows) -> Vector:
    """Each list's surest label."""
    starts = np.concatenate([[0], np.cumsum(rows.sizes)[:-1]]).astype(np.intp)
    found: Vector = np.maximum.reduceat(rows.weights, starts)
    return found


def _scale(scores: Vector, loss: Loss) -> float:
    """What the start's scores are multiplied by, so that they are as sure as these labels find them.

    That moves no document. But where they are surer than they are right, the ridge would have the other features pay
    for it, each by a little.
    """
    least, most = np.log(SCALES)
    found = minimize_scalar(lambda log: loss(np.exp(log) * scores)[0], bounds=(least, most), method="bounded").x
    return float(np.exp(found))
