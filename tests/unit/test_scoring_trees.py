"""What numpy makes of LightGBM's trees is what LightGBM makes of them."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from tribrid.errors import ModelUnavailable
from tribrid.scoring.trees import Trees


def grown(leaves: int, *, missing: bool = False, rounds: int = 40, **params: object) -> tuple[lgb.Booster, np.ndarray]:
    random = np.random.default_rng(leaves)
    columns = random.normal(size=(600, 8)).astype(np.float32)
    columns[:, 3] = np.round(columns[:, 3])
    grades = (columns[:, 0] + np.sin(3 * columns[:, 1]) * columns[:, 3] > 0).astype(int)
    if missing:
        columns[random.random(columns.shape) < 0.3] = np.nan
    data = lgb.Dataset(columns, grades, group=[20] * 30)
    wanted = {"objective": "lambdarank", "num_leaves": leaves, "verbose": -1, "num_threads": 1, "deterministic": True}
    return lgb.train({**wanted, **params}, data, num_boost_round=rounds), columns


@pytest.mark.parametrize("leaves", [2, 7, 31, 63])
@pytest.mark.parametrize("how", [{}, {"missing": True}, {"missing": True, "zero_as_missing": True}], ids=str)
def test_the_same_scores_as_lightgbm(leaves: int, how: dict[str, bool]) -> None:
    booster, columns = grown(leaves, **how)
    trees = Trees.read(booster.model_to_string())
    columns = np.vstack([columns, np.zeros((1, 8)), np.full((1, 8), np.nan)]).astype(np.float32)
    for rows in (columns, columns[:1], columns[:0]):
        np.testing.assert_allclose(trees.predict(rows), booster.predict(rows) if len(rows) else [], atol=1e-12)


def test_a_value_on_the_threshold_goes_where_lightgbm_sends_it() -> None:
    booster, columns = grown(7)
    trees = Trees.read(booster.model_to_string())
    edges: Any = np.tile(columns[:1], (40, 1)).astype(np.float64)
    for row, feature, threshold in zip(edges, trees.features[:, 0], trees.thresholds[:, 0], strict=False):
        row[feature] = threshold
    np.testing.assert_allclose(trees.predict(edges), booster.predict(edges), atol=1e-12)


def test_trees_that_never_split() -> None:
    booster, columns = grown(7, rounds=2, min_data_in_leaf=10_000)
    np.testing.assert_allclose(
        Trees.read(booster.model_to_string()).predict(columns[:3]), booster.predict(columns[:3]), atol=1e-12
    )


@pytest.mark.parametrize(
    "text", ["", "tree", "tree\n\nTree=0\nnum_leaves=2\n", "{}", "tree\n\nTree=0\nnum_leaves=3\nleaf_value=1 2\n"]
)
def test_what_is_no_trees_is_refused(text: str) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        Trees.read(text)


def test_categorical_splits_are_refused() -> None:
    text = grown(7)[0].model_to_string().replace("decision_type=2", "decision_type=3", 1)
    with pytest.raises(ModelUnavailable, match="categorical"):
        Trees.read(text)
