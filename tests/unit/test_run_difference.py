"""Two training runs side by side, and how a training went."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tribrid.answers.difference import RunDifference, ValueDifference
from tribrid.answers.report import LearningPoint
from tribrid.app.rundiff import RunFacts, run_difference
from tribrid.evaluation.learning_curve import learning_curve
from tribrid.types import State


def run(run_id: str, **changes: Any) -> RunFacts:
    known: dict[str, Any] = {
        "params": {},
        "config": {"epochs": 1, "seed": 13, "base_model": "m"},
        "data": {"sha256": "aa"},
        "base": {"sha256": "bb"},
        "encoder": None,
        "metrics": {"blend": {"form": "trees"}, "cross_encoder": {"dev_ndcg@10": 0.5}},
    }
    events: list[dict[str, Any]] = [
        {"step": 1, "loss": 0.9},
        {"stage": "blend", "x": 1},
        {"step": 2, "loss": 0.4, "dev_ndcg@10": 0.5},
    ]
    found = RunFacts(run_id, "wiki", State.SUCCEEDED, None, known, events)
    facts = {name: changes.pop(name) for name in ("corpus_id", "state", "problem", "events") if name in changes}
    return replace(found, known=known | changes, **facts)


def test_causes_come_before_what_came_of_them() -> None:
    b = run(
        "b",
        config={"epochs": 2, "seed": 13, "base_model": "m", "patience": 3},
        data={"sha256": "cc"},
        metrics={"blend": {"form": "linear"}, "cross_encoder": {"dev_ndcg@10": 0.6}},
        events=[{"step": 4, "loss": 0.2}],
    )
    found = run_difference(run("a"), b)
    assert list(found.differences) == [
        "config.epochs",
        "config.patience",
        "data.sha256",
        "metrics.blend.form",
        "metrics.cross_encoder.dev_ndcg@10",
        "events.dev_ndcg@10",
        "events.loss",
        "events.step",
    ]
    assert found.differences["config.epochs"] == ValueDifference(a=1, b=2, change=1)
    assert found.differences["config.patience"] == ValueDifference(a=None, b=3)
    assert found.differences["metrics.blend.form"] == ValueDifference(a="trees", b="linear")
    assert found.differences["events.loss"].change == 0.2 - 0.4
    assert "not of the same queries" in found.notes[0]


def test_what_is_the_same_does_not_differ() -> None:
    assert run_difference(run("a"), run("a")) == RunDifference(a="a", b="a", differences={}, notes=())


def test_notes_say_what_a_difference_means() -> None:
    seeded = run("b", config={"epochs": 1, "seed": 14, "base_model": "m"})
    assert "chance" in run_difference(run("a"), seeded).notes[0]
    failed = run("b", state=State.FAILED, problem="Out of memory.", metrics=None, config=None)
    assert run_difference(run("a"), failed).notes[0] == "b failed, so it has no metrics. Out of memory."
    assert "two corpora" in run_difference(run("a"), run("b", corpus_id="other")).notes[0]


def test_the_learning_curve_is_what_the_run_told() -> None:
    told: list[dict[str, Any]] = [
        {"stage": "blend", "form": "trees"},
        {"step": 0, "dev_ndcg@10": 0.2, "dev_served_ndcg@10": 0.6, "dev_spread": 0.1, "dev_margin": 0.2},
        {"step": 1, "epoch": 0.5, "loss": 1.0, "gradient_norm": 1},
        {"step": 2, "epoch": 1.0, "loss": 9.0},
        # Killed, and trained again from the checkpoint.
        {"step": 2, "epoch": 1.0, "loss": 0.5},
        {"step": 2, "dev_ndcg@10": 0.3, "dev_served_ndcg@10": 0.7},
    ]
    first, second = learning_curve(told)
    assert first == LearningPoint.model_validate(
        {
            "step": 0,
            "epoch": None,
            "loss": None,
            "dev_ndcg@10": 0.2,
            "dev_served_ndcg@10": 0.6,
            "dev_spread": 0.1,
            "dev_margin": 0.2,
        }
    )
    assert second == LearningPoint.model_validate(
        {"step": 2, "epoch": 1.0, "loss": 0.75, "dev_ndcg@10": 0.3, "dev_served_ndcg@10": 0.7}
    )
    assert second.model_dump(mode="json")["dev_ndcg@10"] == 0.3
    assert learning_curve([{"stage": "blend"}]) == ()
