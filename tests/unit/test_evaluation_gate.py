"""The gate: what it promotes, every reason it has to keep, and how often chance fools it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tribrid.evaluation.comparison import Delta, deltas
from tribrid.evaluation.gate import Evidence, decide

GAIN = Delta(
    mean=0.052, ci95=(0.031, 0.074), p_value=0.0001, wins=82, losses=31, ties=187, ci=(0.031, 0.074), confidence=0.95
)
PROVEN = Evidence(measure="nDCG@10", delta=GAIN, before=0.690, after=0.742, retrieval=0.690)


def test_a_proven_gain_is_promoted_with_its_grounds() -> None:
    decision = decide(PROVEN)
    assert decision.decision == "promote"
    assert decision.reasons == (
        "nDCG@10 rises from 0.690 to 0.742 (+0.052); the 95 % interval [+0.031, +0.074] lies above 0 (p = 0.0001).",
        "Better on 82 queries, worse on 31, the same on 187.",
    )


def test_against_a_champion_it_also_says_that_retrieval_is_beaten() -> None:
    assert "above retrieval alone (0.650)" in decide(replace(PROVEN, retrieval=0.65)).reasons[-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"delta": None, "after": None}, "no trained model"),
        ({"before": None}, "no baseline"),
        ({"retrieval": None}, "no baseline"),
        ({"failed": {"champion": "no memory"}}, "champion failed, so the comparison is not complete: no memory"),
        ({"fallbacks": 1}, "fell back to the retrieval order on 1 query"),
        ({"fallbacks": 3}, "on 3 queries"),
        ({"leaked": 2}, "2 queries of the eval dataset also stood in the training data"),
        ({"retrieval": 0.742}, "not above retrieval alone (0.742)"),
        ({"delta": replace(GAIN, ci=(-0.004, 0.022), mean=0.009)}, "includes 0: on 300 queries that cannot be told"),
        ({"delta": replace(GAIN, ci=(0.0, 0.05))}, "includes 0"),
        ({"delta": replace(GAIN, ci=(-0.06, -0.01), mean=-0.035)}, "falls by 0.035"),
        ({"delta": replace(GAIN, p_value=0.0625, wins=5, losses=0, ties=0)}, "rests on 5 queries: chance alone"),
        ({"delta": replace(GAIN, wins=0, losses=0, mean=0.0, ci=(0.0, 0.0))}, "is the same on each of the 187 queries"),
    ],
)
def test_every_reason_to_keep(change: dict[str, object], reason: str) -> None:
    decision = decide(replace(PROVEN, **change))  # type: ignore[arg-type]
    assert decision.decision == "keep"
    assert any(reason in said for said in decision.reasons), decision.reasons


def test_all_reasons_are_given_not_only_the_first() -> None:
    nothing = Evidence(measure="AP", delta=None, before=None, after=None, retrieval=None, failed={"base": "gone"})
    assert len(decide(nothing).reasons) == 3
    assert decide(nothing).as_json()["decision"] == "keep"


def promoted(values: np.ndarray, seed: int) -> float:
    """Share of the columns (challengers' per-query gains over a system of mean 0.5) that the gate lets through."""
    found = deltas(values, resamples=1000, confidence=0.95, seed=seed)
    decisions = [
        decide(Evidence(measure="nDCG@10", delta=delta, before=0.5, after=0.5 + delta.mean, retrieval=0.5))
        for delta in found
    ]
    return sum(decision.decision == "promote" for decision in decisions) / len(decisions)


@pytest.mark.parametrize("queries", [4, 8, 20, 60, 300])
def test_challengers_that_are_no_better_rarely_pass(queries: int) -> None:
    """Two systems of the same quality exchange values at random; half of the queries tie, as reranked lists do."""
    generator = np.random.default_rng(queries)
    a, b = generator.beta(0.4, 0.4, (2, queries, 400))
    tied = generator.random((queries, 400)) < 0.5
    assert promoted(np.where(tied, 0.0, b - a), seed=1) <= 0.05


def test_better_challengers_pass() -> None:
    generator = np.random.default_rng(9)
    tied = generator.random((300, 200)) < 0.5
    gains = np.where(tied, 0.0, generator.normal(0.06, 0.2, (300, 200)))
    assert promoted(gains, seed=1) >= 0.8
