"""Writes a blend as one ONNX graph: features in, score out. It serves, and it is what other engines get.

A tree of LightGBM sends a row left where its value is at most the threshold; so does ONNX's BRANCH_LEQ. Features and
thresholds are float64: in float32 a value next to a threshold could go the other way. The operator hands the sum of
the leaves on in float32. A value that is missing (NaN) takes no way of its own: the linear part makes NaN of it, and
such a score is not served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tribrid.encoders.onnx import FloatArray
from tribrid.errors import Failed
from tribrid.scoring.blend import FEATURES, SCORE, Blend

OPSET, ML_OPSET, IR_VERSION = 17, 3, 9
PARITY = 1e-5
_ROWS = 64
_LEAF, _BRANCH = "LEAF", "BRANCH_LEQ"

Node = tuple[int, int, str, int, float, int, int, float]
"""Tree, node, mode, feature, threshold, node if true, node if false, weight."""
Vector = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Linear:
    """The linear part.

    Attributes:
        names: of the features, in the order of the columns.
        mean, scale: float64 (len(names),), the standardisation.
        weights: float64 (len(names),), of the standardised features.
    """

    names: tuple[str, ...]
    mean: Vector
    scale: Vector
    weights: Vector

    def scores(self, columns: FloatArray) -> Vector:
        """float64 (n,) of raw feature columns (n, len(names))."""
        scores: Vector = ((columns - self.mean) / self.scale) @ self.weights
        return scores


def blend_of(linear: Linear, boosters: Sequence[lgb.Booster] = ()) -> Blend:
    """The blend of a linear part and the mean of boosters, which stand over the raw features.

    Raises:
        Failed: on random features its graph differs from what was trained by more than PARITY.
    """
    constants = {
        "mean": linear.mean,
        "scale": linear.scale,
        "weights": linear.weights[:, None],
        "columns": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Sub", [FEATURES, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
        helper.make_node("MatMul", ["standard", "weights"], ["linear"]),
    ]
    total = "linear"
    if boosters:
        nodes += [
            _ensemble(boosters),
            helper.make_node("Cast", ["leaves"], ["trees"], to=TensorProto.DOUBLE),
            helper.make_node("Add", ["linear", "trees"], ["total"]),
        ]
        total = "total"
    nodes.append(helper.make_node("Squeeze", [total, "columns"], [SCORE]))
    graph = helper.make_graph(
        nodes,
        "blend",
        [helper.make_tensor_value_info(FEATURES, TensorProto.DOUBLE, ["n", len(linear.names)])],
        [helper.make_tensor_value_info(SCORE, TensorProto.DOUBLE, ["n"])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tribrid")
    helper.set_model_props(model, {FEATURES: "\n".join(linear.names)})
    onnx.checker.check_model(model)
    blend = Blend(linear.names, model.SerializeToString(deterministic=True))
    _check(blend, linear, boosters)
    return blend


def _check(blend: Blend, linear: Linear, boosters: Sequence[lgb.Booster]) -> None:
    noise = np.random.default_rng(0).normal(size=(_ROWS, len(linear.names)))
    # Around what the features are, so that the trees branch.
    rows = (linear.mean + noise * linear.scale).astype(np.float32)
    expected = linear.scores(rows)
    for booster in boosters:
        expected = expected + np.asarray(booster.predict(rows, num_threads=1)) / len(boosters)
    got = blend.score({name: rows[:, column] for column, name in enumerate(linear.names)})
    difference = float(np.abs(expected - got).max() / max(1.0, float(np.abs(expected).max())))
    if not difference <= PARITY:
        raise Failed(f"The blend's graph differs from what was trained by {difference:.2e} (limit {PARITY:.0e}).")


def _ensemble(boosters: Sequence[lgb.Booster]) -> Any:
    nodes = [
        node
        for tree, structure in enumerate(_structures(boosters))
        for node in _flat(tree, structure, 1 / len(boosters))
    ]
    leaves = [node for node in nodes if node[2] == _LEAF]
    return helper.make_node(
        "TreeEnsembleRegressor",
        [FEATURES],
        ["leaves"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=[node[0] for node in nodes],
        nodes_nodeids=[node[1] for node in nodes],
        nodes_modes=[node[2] for node in nodes],
        nodes_featureids=[node[3] for node in nodes],
        nodes_values_as_tensor=_doubles("thresholds", [node[4] for node in nodes]),
        nodes_truenodeids=[node[5] for node in nodes],
        nodes_falsenodeids=[node[6] for node in nodes],
        nodes_missing_value_tracks_true=[0] * len(nodes),
        target_treeids=[node[0] for node in leaves],
        target_nodeids=[node[1] for node in leaves],
        target_ids=[0] * len(leaves),
        target_weights_as_tensor=_doubles("weights_of_leaves", [node[7] for node in leaves]),
    )


def _doubles(name: str, values: list[float]) -> Any:
    return numpy_helper.from_array(np.array(values, np.float64), name)


def _structures(boosters: Sequence[lgb.Booster]) -> Iterator[Mapping[str, Any]]:
    for booster in boosters:
        for tree in booster.dump_model()["tree_info"]:
            yield tree["tree_structure"]


def _flat(tree: int, root: Mapping[str, Any], share: float) -> list[Node]:
    """A tree's nodes, the root first. Boosters are averaged, so each leaf counts for its share."""
    found: list[Node] = []
    waiting = [(0, root)]
    numbers = 1
    while waiting:
        number, node = waiting.pop()
        if "leaf_value" in node and "left_child" not in node:
            found.append((tree, number, _LEAF, 0, 0.0, 0, 0, float(node["leaf_value"]) * share))
            continue
        if node["decision_type"] != "<=":
            raise Failed(f"A tree of the blend decides by {node['decision_type']!r}, which cannot be served.")
        left, right = numbers, numbers + 1
        numbers += 2
        waiting += [(left, node["left_child"]), (right, node["right_child"])]
        found.append((tree, number, _BRANCH, int(node["split_feature"]), float(node["threshold"]), left, right, 0.0))
    return sorted(found, key=lambda node: node[1])
