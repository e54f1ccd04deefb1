"""What is said of a training that found nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.evaluation.notes import ranks_as_retrieval


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
