"""Regression trees as they are served: read from LightGBM's text, walked in numpy.

A server that ranks fifty candidates needs no library that grows trees: importing LightGBM takes a third of the start
of the whole server where scikit-learn is installed, and a call of it costs more than it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tribrid.errors import ModelUnavailable
from tribrid.scoring.onnx import FloatArray

_CATEGORICAL, _MISSING_ZERO = 1, 4
_MISSING = 12
Doubles = np.ndarray[Any, np.dtype[np.float64]]


class Forest:
    """Trees over numbers, whose values are added."""

    def __init__(self, text: str, columns: int) -> None:
        """Read LightGBM's model text; its trees may ask for so many columns.

        Raises:
            ModelUnavailable: it is none, or has trees of another kind.
        """
        self.text = text
        try:
            trees = [_tree(part) for part in text.split("\nTree=")[1:]]
            whole = text.startswith("tree\n") and "\nend of trees" in text
        except (KeyError, ValueError) as error:
            raise ModelUnavailable(f"The trees cannot be read: {error!r}") from error
        if not whole or not trees:
            raise ModelUnavailable("The trees cannot be read: there are none, or the file is cut off.")
        nodes, leaves = max(len(t["threshold"]) for t in trees), max(len(t["leaf_value"]) for t in trees)
        self._features = _table(trees, "split_feature", nodes).astype(np.intp)
        self._thresholds = _table(trees, "threshold", nodes)
        self._children = np.stack([_table(trees, side, nodes) for side in ("right_child", "left_child")], axis=-1)
        self._children = self._children.astype(np.intp)
        self._values = _table(trees, "leaf_value", leaves)
        self._check(nodes, leaves, columns)

    def _check(self, nodes: int, leaves: int, columns: int) -> None:
        # Children stand after their parent and above every leaf: so a walk ends.
        rising = (self._children < 0) | (self._children > np.arange(nodes)[None, :, None])
        inside = (self._children < nodes) & (self._children >= -leaves)
        known = (self._features >= 0) & (self._features < columns)
        if not ((rising & inside).all() and known.all() and np.isfinite(self._values).all()):
            raise ModelUnavailable("The trees cannot be read: they lead nowhere.")

    def predict(self, columns: FloatArray) -> Doubles:
        """float64 (n,): the sum of all trees for each row of `columns` (n, features)."""
        trees = np.arange(len(self._values))[None, :]
        rows = np.arange(len(columns))[:, None]
        at = np.zeros((len(columns), len(self._values)), np.intp)
        # A tree's walk ends in a leaf, which is a negative number: ~leaf.
        while (walking := at >= 0).any():
            node = np.maximum(at, 0)
            left = columns[rows, self._features[trees, node]] <= self._thresholds[trees, node]
            at = np.where(walking, self._children[trees, node, left.astype(np.intp)], at)
        total: Doubles = self._values[trees, ~at].sum(axis=1)
        return total


def _tree(text: str) -> dict[str, list[float]]:
    fields = dict(line.split("=", 1) for line in text.split("\n\n")[0].splitlines()[1:] if "=" in line)
    values = [float(number) for number in fields["leaf_value"].split()]
    if int(fields["num_leaves"]) != len(values) or fields.get("is_linear", "0") != "0":
        raise ValueError("leaves")
    if len(values) == 1:  # nothing was split: both ways lead to the leaf
        return {"split_feature": [0], "threshold": [0.0], "left_child": [-1], "right_child": [-1], "leaf_value": values}
    kinds = [int(number) for number in fields["decision_type"].split()]
    if any(kind & _CATEGORICAL or kind & _MISSING == _MISSING_ZERO for kind in kinds):
        raise ValueError("a split that is not a plain comparison of numbers")
    names = ("split_feature", "threshold", "left_child", "right_child")
    read = {name: [float(number) for number in fields[name].split()] for name in names}
    if any(len(numbers) != len(values) - 1 for numbers in read.values()):
        raise ValueError("splits")
    return {**read, "leaf_value": values}


def _table(trees: list[dict[str, list[float]]], name: str, width: int) -> Doubles:
    """float64 (trees, width); shorter trees are filled with what is never reached."""
    filler = -1.0 if name.endswith("child") else 0.0
    return np.array([tree[name] + [filler] * (width - len(tree[name])) for tree in trees])
