"""The blend as one ONNX graph, for engines that have the features and want the score: features in, score out.

A tree of LightGBM sends a row left where its value is at most the threshold; so does ONNX's BRANCH_LEQ. Features and
thresholds are float64, as in `scoring.blend`: in float32 a value next to a threshold could go the other way. The
operator hands the sum of the leaves on in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tribrid.encoders.onnx import load_session
from tribrid.errors import Failed
from tribrid.scoring.blend import Blend

OPSET, ML_OPSET, IR_VERSION = 17, 3, 9
PARITY = 1e-5
_ROWS = 64
_LEAF, _BRANCH = "LEAF", "BRANCH_LEQ"

Node = tuple[int, int, str, int, float, int, int, float]
"""Tree, node, mode, feature, threshold, node if true, node if false, weight."""


def export_blend(blend: Blend, path: Path) -> float:
    """Write the graph: `features` float64 (n, features) in the order of `blend.names` -> `score` float64 (n,).

    Returns:
        The largest difference to the blend itself, on random features.

    Raises:
        Failed: it is larger than PARITY.
    """
    constants = {
        "mean": blend.mean,
        "scale": blend.scale,
        "weights": blend.weights[:, None],
        "columns": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
        helper.make_node("MatMul", ["standard", "weights"], ["linear"]),
    ]
    total = "linear"
    if blend.trees:
        nodes += [
            _ensemble(blend),
            helper.make_node("Cast", ["leaves"], ["trees"], to=TensorProto.DOUBLE),
            helper.make_node("Add", ["linear", "trees"], ["total"]),
        ]
        total = "total"
    nodes.append(helper.make_node("Squeeze", [total, "columns"], ["score"]))
    graph = helper.make_graph(
        nodes,
        "blend",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["n", len(blend.names)])],
        [helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n"])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tribrid")
    helper.set_model_props(model, {"features": "\n".join(blend.names)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return _checked(blend, path)


def _checked(blend: Blend, path: Path) -> float:
    noise = np.random.default_rng(0).normal(size=(_ROWS, len(blend.names)))
    # Around what the features are, so that the trees branch.
    rows = (blend.mean + noise * blend.scale).astype(np.float32)
    expected = blend.score({name: rows[:, column] for column, name in enumerate(blend.names)})
    got = load_session(path).run(None, {"features": rows.astype(np.float64)})[0]
    difference = float(np.abs(expected - got).max() / max(1.0, float(np.abs(expected).max())))
    if not difference <= PARITY:
        raise Failed(f"The exported blend differs from the one that serves by {difference:.2e} (limit {PARITY:.0e}).")
    return difference


def _ensemble(blend: Blend) -> Any:
    nodes = [
        node
        for tree, structure in enumerate(_structures(blend))
        for node in _flat(tree, structure, 1 / len(blend.trees))
    ]
    leaves = [node for node in nodes if node[2] == _LEAF]
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
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


def _structures(blend: Blend) -> Iterator[Mapping[str, Any]]:
    for trees in blend.trees:
        for tree in lgb.Booster(model_str=trees.text).dump_model()["tree_info"]:
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
            raise Failed(f"A tree of the blend decides by {node['decision_type']!r}, which cannot be exported.")
        left, right = numbers, numbers + 1
        numbers += 2
        waiting += [(left, node["left_child"]), (right, node["right_child"])]
        found.append((tree, number, _BRANCH, int(node["split_feature"]), float(node["threshold"]), left, right, 0.0))
    return sorted(found, key=lambda node: node[1])
