"""Scores as probabilities: a monotone map from what a reranker gives to 0..1. Order is never decided by it.

A model trained here carries its own, fitted on held-out queries (`training/calibration.py`). One without it, and any
cross-encoder, gets the plain sigmoid: a cross-encoder's logit is made for it, and a blend's linear part is centred on
the mean of its training pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.config.sections import RetrievalConfig
from tribrid.types import FIRST_RANK
from tribrid.types.stored import Manifest

Scores = np.ndarray[Any, np.dtype[np.float64]]
_STEEPEST = 700.0
"""Beyond it exp overflows; the result is 0 or 1 to the last digit long before."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(relevant) = 1 / (1 + exp(-(slope * score + offset))); slope is above 0, so that order stays.

    References:
        Platt: Probabilistic outputs for support vector machines, 1999.
    """

    slope: float = 1.0
    offset: float = 0.0

    def probabilities(self, scores: Scores) -> Scores:
        """float64 (n,) in 0..1."""
        inside = np.clip(self.slope * scores + self.offset, -_STEEPEST, _STEEPEST)
        found: Scores = 1 / (1 + np.exp(-inside))
        return found


@dataclass(frozen=True, slots=True)
class Proportion:
    """Scores that are a share of `most` already, cut off at 0 and 1: cosines, fused scores, a service's relevance."""

    most: float = 1.0

    def probabilities(self, scores: Scores) -> Scores:
        """float64 (n,) in 0..1."""
        found: Scores = np.clip(scores, 0.0, self.most) / self.most
        return found


SIGMOID = Calibration()
AnyCalibration = Calibration | Proportion


def first_stage_calibration(config: RetrievalConfig) -> Proportion:
    """What makes 0..1 of a fused score: weighted ones are; reciprocal ranks add up to two first places at most."""
    return Proportion() if config.fusion == "weighted" else Proportion(2 / (config.rrf_k + FIRST_RANK))


def calibration_of(manifest: Manifest) -> Calibration:
    """The calibration that a model's manifest carries; the sigmoid if it carries none that can be used."""
    stored = manifest.get("calibration")
    if not isinstance(stored, Mapping):
        return SIGMOID
    slope, offset = stored.get("slope"), stored.get("offset")
    if not isinstance(slope, int | float) or not isinstance(offset, int | float):
        return SIGMOID
    return Calibration(float(slope), float(offset)) if slope > 0 and np.isfinite([slope, offset]).all() else SIGMOID
