"""Trees walked in numpy say what LightGBM says of the same rows."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from tribrid.errors import ModelUnavailable
from tribrid.scoring.forest import Forest

COLUMNS = 7


def grown(seed: int, leaves: int, rounds: int = 30, rows: int = 300, least: int = 5) -> tuple[lgb.Booster, np.ndarray]:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    columns[:, 1] = rng.integers(0, 3, rows)  # equal values, and values on a threshold
    columns[:, 2] = 0
    grades = (columns[:, 0] + columns[:, 1] * columns[:, 3] + rng.normal(size=rows) > 0.5).astype(int)
    params = {
        "objective": "lambdarank",
        "num_leaves": leaves,
        "min_data_in_leaf": least,
        "verbose": -1,
        "num_threads": 1,
    }
    return lgb.train(params, lgb.Dataset(columns, grades, group=[20] * (rows // 20)), rounds), columns


@pytest.mark.parametrize(("seed", "leaves"), [(0, 7), (1, 2), (2, 31), (3, 7)])
def test_it_says_what_lightgbm_says(seed: int, leaves: int) -> None:
    booster, columns = grown(seed, leaves)
    forest = Forest(booster.model_to_string(), COLUMNS)
    extremes = np.array([[0.0] * COLUMNS, [-np.inf] * COLUMNS, [np.inf] * COLUMNS, [1e-36] * COLUMNS], np.float32)
    for asked in (columns, columns[:1], extremes):
        np.testing.assert_allclose(forest.predict(asked), booster.predict(asked), rtol=1e-12, atol=1e-12)


def test_trees_that_never_split_are_constants() -> None:
    booster, columns = grown(0, 7, least=1000)
    assert "num_leaves=1" in booster.model_to_string()
    forest = Forest(booster.model_to_string(), COLUMNS)
    np.testing.assert_allclose(forest.predict(columns), booster.predict(columns), atol=1e-12)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tree\n", "wood\n"),
        ("\nend of trees", ""),
        ("decision_type=2", "decision_type=1"),
        ("decision_type=2", "decision_type=6"),
        ("left_child=", "left_child=0 "),
        ("split_feature=", "split_feature=x"),
        ("is_linear=0", "is_linear=1"),
        ("leaf_value=", "leaf_value=nan "),
    ],
)
def test_what_is_not_understood_is_not_served(old: str, new: str) -> None:
    text = grown(0, 7, rounds=2)[0].model_to_string()
    assert old in text
    with pytest.raises(ModelUnavailable):
        Forest(text.replace(old, new), COLUMNS)


def test_a_column_that_is_not_there_is_noticed() -> None:
    with pytest.raises(ModelUnavailable):
        Forest(grown(0, 7)[0].model_to_string(), 1)


def test_a_circle_is_noticed() -> None:
    text = grown(0, 7, rounds=1)[0].model_to_string()
    children = next(line for line in text.splitlines() if line.startswith("left_child="))
    circle = "left_child=" + " ".join(["0"] * len(children.split("=")[1].split()))
    with pytest.raises(ModelUnavailable, match="nowhere"):
        Forest(text.replace(children, circle), COLUMNS)
