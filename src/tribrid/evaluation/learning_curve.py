"""How a training went on held-out queries, read from the events it told; nothing where nothing was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tribrid.answers.report import LearningPoint

_MEASURED = "dev_ndcg@10"
_TAKEN = ("dev_ndcg@10", "dev_served_ndcg@10", "dev_spread", "dev_margin")


def learning_curve(metrics: Iterable[Mapping[str, Any]]) -> tuple[LearningPoint, ...]:
    """A point for each measurement on held-out queries, by step.

    Args:
        metrics: the data of the run's metrics events, in order. A step that was trained again after an interruption
            counts as it was told last.
    """
    steps: dict[int, Mapping[str, Any]] = {}
    points: dict[int, Mapping[str, Any]] = {}
    for data in metrics:
        if not isinstance(data.get("step"), int):
            continue
        if _MEASURED in data:
            points[data["step"]] = data
        elif "loss" in data:
            steps[data["step"]] = data
    found = []
    before = -1
    for step in sorted(points):
        losses = [steps[at]["loss"] for at in steps if before < at <= step]
        point = {"step": step, "epoch": (steps.get(step) or {}).get("epoch")}
        point["loss"] = math.fsum(losses) / len(losses) if losses else None
        point |= {name: points[step][name] for name in _TAKEN if points[step].get(name) is not None}
        found.append(LearningPoint.model_validate(point))
        before = step
    return tuple(found)
