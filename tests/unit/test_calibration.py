"""Scores as probabilities: fitted on held-out lists, monotone, and the sigmoid where there is nothing to fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synthetic import training_list
from tribrid.scoring.calibration import SIGMOID, Calibration, Proportion, calibration_of
from tribrid.training.calibration import calibrate
from tribrid.training.lists import GOOD


def test_a_fit_says_how_often_it_is_right() -> None:
    rng = np.random.default_rng(0)
    lists = [training_list(seed, learnable=True, n=8) for seed in range(60)]
    # Of seven bad ones at -2 and one good one at 2, both with noise: P(good | 0) is far below a half.
    held_out = [np.where(item.grades == GOOD, 2.0, -2.0) * 10 + rng.normal(0, 15, 8) for item in lists]
    fitted = calibrate(lists, held_out)
    assert fitted["method"] == "platt"
    assert (fitted["pairs"], fitted["positives"]) == (480, 60)
    scores, good = np.concatenate(held_out), np.concatenate([item.grades == GOOD for item in lists])
    calibration = calibration_of({"calibration": fitted})
    found = calibration.probabilities(scores)
    assert found.mean() == pytest.approx(good.mean(), abs=0.02)
    assert fitted["brier"] < good.mean() * (1 - good.mean())
    middle = np.argsort(scores)[240:420]
    assert found[middle].mean() == pytest.approx(good[middle].mean(), abs=0.08)
    np.testing.assert_array_equal(np.argsort(found, kind="stable"), np.argsort(scores, kind="stable"))


def test_scores_that_separate_perfectly_are_not_certain() -> None:
    lists = [training_list(seed, learnable=True) for seed in range(10)]
    fitted = calibrate(lists, [np.where(item.grades == GOOD, 1.0, -1.0) for item in lists])
    assert 0.5 < calibration_of({"calibration": fitted}).probabilities(np.array([1.0]))[0] < 1


@pytest.mark.parametrize("held_out", [[], [np.zeros(0)] * 3, [np.zeros(12)]])
def test_too_little_is_not_fitted(held_out: list[np.ndarray]) -> None:
    lists = [training_list(seed, learnable=True) for seed in range(len(held_out))]
    fitted = calibrate(lists, held_out)
    assert fitted["method"] == "none"
    assert fitted["reason"]
    assert calibration_of({"calibration": fitted}) == SIGMOID


def test_a_higher_score_is_never_a_lower_probability() -> None:
    scores = np.array([-1e308, -800.0, -3.0, 0.0, 1e-9, 5.0, 900.0, 1e308])
    for calibration in (SIGMOID, Calibration(0.3, -2.0), Proportion(), Proportion(0.03)):
        found = calibration.probabilities(scores)
        assert ((found >= 0) & (found <= 1)).all()
        assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("stored", [None, {}, "x", {"slope": -1, "offset": 0}, {"slope": "1", "offset": 0}])
def test_a_manifest_without_one_gets_the_sigmoid(stored: Any) -> None:
    assert calibration_of({"calibration": stored}) == SIGMOID
