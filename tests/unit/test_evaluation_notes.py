"""What is said beside the numbers, and of a training that found nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.answers.changes import Delta
from tribrid.evaluation.notes import Findings, notes, ranks_as_retrieval


@pytest.mark.parametrize(
    ("metrics", "nothing"),
    [
        ({"blend": {"form": "retrieval"}, "cross_encoder": {"trained": True, "served": False}}, True),
        ({"blend": {"form": "retrieval"}, "cross_encoder": {"trained": False}}, True),
        ({"blend": {"form": "retrieval"}, "cross_encoder": {"trained": True, "served": True}}, False),
        ({"blend": {"form": "linear"}, "cross_encoder": {"trained": False}}, False),
        ({}, False),
    ],
)
def test_a_model_that_learned_nothing_is_known_by_its_metrics(metrics: dict[str, Any], nothing: bool) -> None:
    assert ranks_as_retrieval(metrics) is nothing


def delta(mean: float, ci: tuple[float, float], p_value: float, wins: int, losses: int, ties: int) -> Delta:
    return Delta(mean=mean, ci95=ci, p_value=p_value, wins=wins, losses=losses, ties=ties, ci=ci, confidence=0.95)


def findings(**changes: Any) -> Findings:
    gain = delta(0.05, (0.02, 0.08), 0.001, 30, 10, 60)
    defaults: dict[str, Any] = {
        "measure": "ndcg@10",
        "before": "retrieval",
        "after": "challenger",
        "queries": 100,
        "primary": {"retrieval": 0.5, "challenger": 0.75, "oracle": 1.0, "dense": 0.4},
        "after_minus": {"dense": gain, "blend_without_cross_encoder": gain},
        "judged": (0.5, 0.5),
        "recall_ceiling": 0.95,
        "depth": 50,
    }
    merged = defaults | changes
    merged["primary"] = {"blend_without_cross_encoder": 0.7} | merged["primary"]
    return Findings(**merged)


def test_a_repaired_fusion_is_called_that() -> None:
    strong_leg = {"retrieval": 0.594, "dense": 0.731, "challenger": 0.735}
    chance = delta(0.004, (-0.01, 0.02), 0.6, 20, 18, 62)
    said = notes(findings(primary=strong_leg, after_minus={"dense": chance}))
    assert "dense leg alone (0.731) ranks better than the fused order (0.594)" in said[0]
    assert "only repairs the fusion" in said[0]
    assert "beats that leg as well" in notes(findings(primary=strong_leg))[0]
    assert notes(findings(primary=strong_leg, after=None, after_minus={}))[0].endswith("(0.594).")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "earns its place"),
        ({}, "goes 50% of the way from retrieval to it"),
        ({"judged": (0.5, 0.4)}, "judged@10 falls from 0.500 to 0.400"),
        ({"recall_ceiling": 0.8}, "20% of a query's relevant documents"),
        ({"queries": 12}, "With 12 queries"),
        (
            {"after_minus": {"blend_without_cross_encoder": delta(0, (-0.1, 0.1), 1, 1, 1, 9)}},
            "cannot be told from chance",
        ),
        (
            {"after_minus": {"blend_without_cross_encoder": delta(-0.2, (-0.3, -0.1), 0, 1, 9, 9)}},
            "does harm",
        ),
    ],
)
def test_notes(change: dict[str, Any], said: str) -> None:
    assert any(said in note for note in notes(findings(**change)))
