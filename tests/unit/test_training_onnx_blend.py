"""The blend as an ONNX graph: the same scores, from onnxruntime alone."""

from __future__ import annotations

from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnxruntime
import pytest

from tribrid.scoring.blend import Blend
from tribrid.scoring.trees import Trees
from tribrid.training.onnx_blend import export_blend

NAMES = ("sparse", "dense", "overlap")


def read(booster: lgb.Booster) -> Trees:
    """As it is served."""
    return Trees.read(booster.model_to_string())


def blend(trees: int) -> Blend:
    """A blend of three features; its boosters are trained, not made up."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 3))
    wanted = rows[:, 0] * (rows[:, 1] > 0) + np.sign(rows[:, 2])
    boosters = tuple(
        read(
            lgb.train(
                {"num_leaves": 7, "verbosity": -1, "seed": seed, "min_data_in_leaf": 5, "num_threads": 1},
                lgb.Dataset(rows, wanted),
                20,
            )
        )
        for seed in range(trees)
    )
    return Blend(NAMES, rows.mean(axis=0), rows.std(axis=0), np.array([0.3, -1.5, 0.0]), boosters)


@pytest.mark.parametrize("trees", [0, 1, 3])
def test_it_scores_as_the_blend_does(trees: int, tmp_path: Path) -> None:
    made = blend(trees)
    assert export_blend(made, tmp_path / "blend.onnx") < 1e-6
    session = onnxruntime.InferenceSession(tmp_path / "blend.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["features"].splitlines() == list(NAMES)
    rows = np.random.default_rng(4).normal(size=(500, 3)).astype(np.float32)
    # Values that stand on a threshold go the same way too.
    thresholds = [value for served in made.trees for value in served.thresholds.ravel() if np.isfinite(value)]
    rows[: len(thresholds[:400]), 0] = thresholds[:400]
    expected = made.score({name: rows[:, column] for column, name in enumerate(NAMES)})
    got = session.run(None, {"features": rows.astype(np.float64)})[0]
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_tree_that_never_branched_is_a_leaf(tmp_path: Path) -> None:
    """LightGBM writes one where a booster found nothing to split on."""
    rows = np.random.default_rng(5).normal(size=(30, 3))
    flat = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(rows, np.full(30, 2.5)), 2)
    made = Blend(NAMES, np.zeros(3), np.ones(3), np.zeros(3), (read(flat),))
    export_blend(made, tmp_path / "blend.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "blend.onnx", providers=["CPUExecutionProvider"])
    expected = made.score({name: rows[:, column].astype(np.float32) for column, name in enumerate(NAMES)})
    assert session.run(None, {"features": rows})[0] == pytest.approx(expected)
