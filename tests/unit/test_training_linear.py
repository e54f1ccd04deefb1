"""The linear part of the blend: how sure its start is of itself decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tribrid.training.linear import Rows, fit_linear
from tribrid.training.onnx_blend import Vector

LISTS, PER_LIST, FEATURES = 40, 10, 12
FREE = [0] * FEATURES


def rows(seed: int) -> Rows:
    """One good document a list, drawn by the first feature."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(LISTS * PER_LIST, FEATURES)).astype(np.float32)
    chance = np.exp(columns[:, 0]).reshape(LISTS, PER_LIST)
    grades = np.zeros((LISTS, PER_LIST), np.int64)
    for of, weights in zip(grades, chance, strict=True):
        of[rng.choice(PER_LIST, p=weights / weights.sum())] = 2
    return Rows(columns, grades.ravel(), np.ones(LISTS * PER_LIST), [PER_LIST] * LISTS)


def learned(of: Rows, start: Vector, directions: Sequence[int] = FREE) -> Vector:
    return fit_linear(of.columns.astype(np.float64), of, start, directions)


def test_a_start_that_is_too_sure_learns_what_a_modest_one_does() -> None:
    found, start = rows(1), np.eye(FEATURES)[0]
    modest, sure = (learned(found, start * scale) for scale in (1.0, 4.0))
    assert sure == pytest.approx(modest, abs=1e-3)
    assert modest[0] == pytest.approx(1.0, abs=0.3)  # as the labels were drawn
    assert np.abs(modest[1:]).max() < 0.3  # the other features say nothing, and none had to pay for the start


def test_a_start_that_says_nothing_keeps_its_order_within_bounds() -> None:
    found, start = rows(2), np.eye(FEATURES)[3]
    weights = learned(found, start)
    assert weights[0] > 0.1
    assert weights[3] > -0.2


def test_directions_hold_whatever_the_scale() -> None:
    found, start = rows(3), np.eye(FEATURES)[1]
    weights = learned(found, start * 10, [-1, 1, *FREE[2:]])
    assert weights[0] <= 0 <= weights[1]
