"""Gradient-boosted trees as they are served: LightGBM's text format, read and computed with numpy.

A list is small and so are the trees, so all nodes of all trees are compared at once instead of walking down each. That
keeps LightGBM, and the scipy it stands on, out of the serving process. Leaves are found as QuickScorer finds them: each
comparison that fails strikes out the leaves of its left side, and the first one left over is the tree's answer.

References:
    Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees,
    SIGIR (2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.encoders.onnx import FloatArray
from tribrid.errors import ModelUnavailable

MOST_LEAVES = 63
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_SHIFT, _MISSING_ZERO, _MISSING_NAN = 2, 1, 2
_ZERO = 1e-35
"""LightGBM's own: what is nearer to 0 counts as 0."""
_ALL = np.uint64(2**64 - 1)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Trees:
    """An ensemble whose answer is the sum of its trees'.

    Attributes:
        text: LightGBM's, as it was read.
        features: int64 (trees, nodes), the column each node compares; trees with fewer nodes are filled up with ones
            that strike out nothing.
        thresholds: float64 (trees, nodes).
        kept: uint64 (trees, nodes), the leaves (bits) that stay when the comparison fails.
        missing: uint8 (trees, nodes), LightGBM's decision types.
        leaves: float64 (trees, most leaves).
    """

    text: str
    features: Array
    thresholds: Array
    kept: Array
    missing: Array
    leaves: Array

    @classmethod
    def read(cls, text: str) -> Trees:
        """Read what LightGBM's `model_to_string` wrote.

        Raises:
            ModelUnavailable: it is something else, or has categorical splits or trees of more than 63 leaves.
        """
        try:
            trees = [_tree(block) for block in _blocks(text)]
        except (KeyError, ValueError, IndexError) as error:
            raise ModelUnavailable(f"The trees cannot be read: {error!r}") from error
        if not trees:
            raise ModelUnavailable("The trees cannot be read: there are none.")
        wide = max(1, *(len(tree.features) for tree in trees))
        most = max(len(tree.leaves) for tree in trees)
        return cls(
            text,
            np.array([_fill(tree.features, wide, 0) for tree in trees], np.int64),
            np.array([_fill(tree.thresholds, wide, np.inf) for tree in trees], np.float64),
            np.array([_fill(tree.kept, wide, int(_ALL)) for tree in trees], np.uint64),
            np.array([_fill(tree.missing, wide, 0) for tree in trees], np.uint8),
            np.array([_fill(tree.leaves, most, 0.0) for tree in trees], np.float64),
        )

    def predict(self, columns: FloatArray) -> np.ndarray[Any, np.dtype[np.float64]]:
        """float64 (n,) for raw feature columns (n, features)."""
        values = columns.astype(np.float64)[:, self.features]
        kept = np.where(self._goes_left(values), _ALL, self.kept)
        left_over = np.bitwise_and.reduce(kept, axis=2)
        first = np.log2((left_over & (~left_over + np.uint64(1))).astype(np.float64)).astype(np.int64)
        answers: np.ndarray[Any, np.dtype[np.float64]] = self.leaves[np.arange(len(self.leaves)), first].sum(axis=1)
        return answers

    def _goes_left(self, values: Array) -> Array:
        """Bool (n, trees, nodes), with LightGBM's rules for values that are missing."""
        kind = self.missing >> _MISSING_SHIFT
        nan = np.isnan(values)
        if nan.any():
            values = np.where(nan & (kind != _MISSING_NAN), 0.0, values)
        left: Array = values <= self.thresholds
        if kind.any():
            absent = ((kind == _MISSING_NAN) & nan) | ((kind == _MISSING_ZERO) & (np.abs(values) <= _ZERO))
            left = np.where(absent, (self.missing & _DEFAULT_LEFT) > 0, left)
        return left


@dataclass(frozen=True, slots=True)
class _Tree:
    features: list[int]
    thresholds: list[float]
    kept: list[int]
    missing: list[int]
    leaves: list[float]


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """The fields of each tree."""
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    if not head.startswith("tree"):
        raise ValueError("this is not LightGBM's text")
    for tree in trees:
        yield dict(line.split("=", 1) for line in tree.splitlines()[1:] if "=" in line)


def _tree(fields: Mapping[str, str]) -> _Tree:
    leaves = [float(value) for value in fields["leaf_value"].split()]
    if int(fields["num_leaves"]) != len(leaves) or not 1 <= len(leaves) <= MOST_LEAVES:
        raise ValueError(f"a tree of {len(leaves)} leaves")
    if len(leaves) == 1:
        return _Tree([], [], [], [], leaves)
    missing = [int(value) for value in fields["decision_type"].split()]
    if any(kind & _CATEGORICAL for kind in missing):
        raise ValueError("a categorical split")
    left = [int(child) for child in fields["left_child"].split()]
    right = [int(child) for child in fields["right_child"].split()]
    order = _order(left, right)
    return _Tree(
        [int(value) for value in fields["split_feature"].split()],
        [float(value) for value in fields["threshold"].split()],
        [int(_ALL) & ~sum(1 << order[leaf] for leaf in _leaves_below(child, left, right)) for child in left],
        missing,
        [leaves[leaf] for leaf in order],
    )


def _order(left: Sequence[int], right: Sequence[int]) -> dict[int, int]:
    """Each leaf's place from left to right."""
    return {leaf: place for place, leaf in enumerate(_leaves_below(0, left, right))}


def _leaves_below(node: int, left: Sequence[int], right: Sequence[int]) -> list[int]:
    """The leaves under a node, from left to right; a negative node is a leaf itself."""
    if node < 0:
        return [~node]
    return [*_leaves_below(left[node], left, right), *_leaves_below(right[node], left, right)]


def _fill(values: Sequence[Any], length: int, filler: Any) -> list[Any]:
    return [*values, *[filler] * (length - len(values))]
