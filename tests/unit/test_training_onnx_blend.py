"""The blend's ONNX graph gives the scores of what was trained."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from tribrid.errors import Failed
from tribrid.scoring.blend import Blend
from tribrid.training.onnx_blend import Linear, blend_of

NAMES = ("sparse", "dense", "overlap")
LINEAR = Linear(NAMES, np.array([0.1, -0.2, 0.0]), np.array([1.0, 1.1, 0.9]), np.array([0.3, -1.5, 0.0]))


def boosters(many: int, leaves: int = 7, rounds: int = 20, **params: Any) -> list[lgb.Booster]:
    """Trained on three features, not made up."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 3)).astype(np.float32)
    grades = (rows[:, 0] * (rows[:, 1] > 0) + np.sign(rows[:, 2]) > 0).astype(int)
    wanted = {"objective": "lambdarank", "num_leaves": leaves, "verbosity": -1, "min_data_in_leaf": 5, "num_threads": 1}
    return [
        lgb.train({**wanted, **params, "seed": seed}, lgb.Dataset(rows, grades, group=[20] * 20), rounds)
        for seed in range(many)
    ]


def expected(found: list[lgb.Booster], rows: Any) -> Any:
    trees: Any = sum((booster.predict(rows) for booster in found), np.zeros(len(rows)))
    return LINEAR.scores(rows) + trees / max(1, len(found))


def scores(blend: Blend, rows: Any) -> Any:
    return blend.score({name: rows[:, column] for column, name in enumerate(NAMES)})


@pytest.mark.parametrize("leaves", [2, 7, 31])
@pytest.mark.parametrize("many", [0, 1, 3])
def test_it_scores_as_lightgbm_does(many: int, leaves: int) -> None:
    found = boosters(many, leaves)
    rows = np.random.default_rng(4).normal(size=(500, 3)).astype(np.float32)
    np.testing.assert_allclose(scores(blend_of(LINEAR, found), rows), expected(found, rows), rtol=1e-6, atol=1e-6)


def thresholds(node: dict[str, Any]) -> list[tuple[int, float]]:
    if "left_child" not in node:
        return []
    here = [(int(node["split_feature"]), float(node["threshold"]))]
    return here + thresholds(node["left_child"]) + thresholds(node["right_child"])


def test_a_value_on_a_threshold_goes_where_lightgbm_sends_it() -> None:
    found = boosters(1)
    edges = [edge for tree in found[0].dump_model()["tree_info"] for edge in thresholds(tree["tree_structure"])]
    rows = np.random.default_rng(4).normal(size=(len(edges), 3)).astype(np.float32)
    for row, (feature, threshold) in zip(rows, edges, strict=True):
        row[feature] = threshold
    assert len(edges) > 50
    np.testing.assert_allclose(scores(blend_of(LINEAR, found), rows), expected(found, rows), rtol=1e-6, atol=1e-6)


def test_a_tree_that_never_branched_is_a_leaf() -> None:
    """LightGBM writes one where a booster found nothing to split on."""
    rows = np.random.default_rng(5).normal(size=(30, 3)).astype(np.float32)
    flat = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(rows, np.full(30, 2.5)), 2)
    np.testing.assert_allclose(scores(blend_of(LINEAR, [flat]), rows), expected([flat], rows), rtol=1e-6)


def test_the_same_training_writes_the_same_bytes() -> None:
    assert blend_of(LINEAR, boosters(2)).graph == blend_of(LINEAR, boosters(2)).graph


def test_a_graph_lists_its_features() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(blend_of(LINEAR).graph)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"features": "sparse\ndense\noverlap"}


def test_categorical_splits_are_refused() -> None:
    rows = np.random.default_rng(6).integers(0, 6, size=(400, 3)).astype(np.float32)
    data = lgb.Dataset(rows, (rows[:, 0] % 2), categorical_feature=[0, 1, 2])
    found = lgb.train({"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, "min_data_per_group": 1}, data, 2)
    with pytest.raises(Failed, match="decides by '=='"):
        blend_of(LINEAR, [found])
