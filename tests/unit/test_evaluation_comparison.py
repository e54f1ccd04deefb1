"""Paired comparison: seeds, small and degenerate inputs, refusals, time and memory. Numbers: tests/oracle."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from counting import calls_of
from tribrid.answers.changes import Delta
from tribrid.errors import EvaluationFailed, InvalidInput
from tribrid.evaluation.comparison import adjusted, compare, deltas, holm, intervals


def compared(before: list[float], after: list[float], *, resamples: int = 2000, seed: int = 1) -> Delta:
    ids = [f"q{at:05}" for at in range(len(before))]
    return compare(
        dict(zip(ids, before, strict=True)),
        dict(zip(ids, after, strict=True)),
        resamples=resamples,
        confidence=0.95,
        seed=seed,
    )


def test_wins_losses_ties_and_mean() -> None:
    delta = compared([0.5, 0.5, 0.5, 0.5, 1.0], [1.0, 0.25, 0.5, 0.5 + 1e-12, 1.0])
    assert (delta.wins, delta.losses, delta.ties, delta.queries) == (1, 1, 3, 5)
    assert delta.mean == pytest.approx(0.05)
    assert delta.ci95[0] <= delta.mean <= delta.ci95[1]
    assert delta.ci == delta.ci95


def test_the_seed_decides_and_the_order_of_queries_does_not() -> None:
    generator = np.random.default_rng(0)
    before = {f"q{at}": float(value) for at, value in enumerate(generator.random(80))}
    after = {query_id: value + float(generator.normal(0.02, 0.1)) for query_id, value in before.items()}
    settings = {"resamples": 500, "confidence": 0.9, "seed": 3}
    first = compare(before, after, **settings)  # type: ignore[arg-type]
    assert compare(dict(reversed(before.items())), after, **settings) == first  # type: ignore[arg-type]
    other = compare(before, after, resamples=500, confidence=0.9, seed=4)
    assert other.ci != first.ci
    assert other.mean == first.mean


def test_confidence_sets_ci_and_leaves_ci95() -> None:
    generator = np.random.default_rng(1)
    ids = [str(at) for at in range(60)]
    before, after = dict.fromkeys(ids, 0.0), dict(zip(ids, generator.normal(0, 0.2, 60).tolist(), strict=True))
    narrow = compare(before, after, resamples=1000, confidence=0.5, seed=2)
    wide = compare(before, after, resamples=1000, confidence=0.99, seed=2)
    assert narrow.ci95 == wide.ci95
    assert wide.ci[0] < wide.ci95[0] < narrow.ci[0] < narrow.ci[1] < wide.ci95[1] < wide.ci[1]
    assert (narrow.confidence, wide.confidence) == (0.5, 0.99)


def test_equal_systems_have_an_interval_of_zero_and_p_one() -> None:
    delta = compared([0.1, 0.9, 0.4], [0.1, 0.9, 0.4])
    assert (delta.mean, delta.ci95, delta.p_value) == (0.0, (0.0, 0.0), 1.0)


@pytest.mark.parametrize(("queries", "p_value"), [(1, 1.0), (2, 0.5), (5, 2 / 32)])
def test_a_handful_of_wins_proves_little(queries: int, p_value: float) -> None:
    """The bootstrap's interval cannot show how little five queries are; the exact p-value does."""
    delta = compared([0.0] * queries, [0.5] * queries)
    assert delta.ci95 == (0.5, 0.5)
    assert delta.p_value == pytest.approx(p_value)


def test_json_has_the_reports_keys() -> None:
    written = compared([0.0, 0.5], [0.5, 0.5]).model_dump(mode="json")
    assert set(written) >= {"mean", "ci95", "p_value", "wins", "losses", "ties"}
    assert written["ci95"] == [pytest.approx(0.0), pytest.approx(0.5)]


def test_refusals() -> None:
    settings = {"resamples": 100, "confidence": 0.95, "seed": 1}
    with pytest.raises(EvaluationFailed, match="1 are on one side only"):
        compare({"a": 1.0}, {"a": 1.0, "b": 0.0}, **settings)  # type: ignore[arg-type]
    with pytest.raises(EvaluationFailed, match="nothing to compare"):
        compare({}, {}, **settings)  # type: ignore[arg-type]
    with pytest.raises(EvaluationFailed, match="not a finite number"):
        compare({"a": 1.0}, {"a": float("nan")}, **settings)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="resamples is 0"):
        compared([0.0], [1.0], resamples=0)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        compare({"a": 1.0}, {"a": 0.5}, resamples=10, confidence=1.0, seed=1)


def test_columns_in_blocks_are_the_columns_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(0, 1, (30, 7))
    whole = intervals(values, levels=[0.95], resamples=200, seed=1)
    monkeypatch.setattr("tribrid.evaluation.comparison._KEPT", 400)
    monkeypatch.setattr("tribrid.evaluation.comparison._CHUNK", 90)
    assert intervals(values, levels=[0.95], resamples=200, seed=1) == pytest.approx(whole, abs=1e-12)


@pytest.mark.slow
def test_ten_thousand_resamples_of_ten_thousand_queries() -> None:
    values = np.random.default_rng(3).normal(0.001, 0.2, (10_000, 1))
    deltas(values[:50], resamples=100, confidence=0.95, seed=1)  # imports what it needs
    tracemalloc.start()
    _, calls = calls_of(lambda: deltas(values, resamples=10_000, confidence=0.95, seed=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert calls.total() < 10_000, "not one for each resample, or for each query"
    assert peak < 100 * 2**20


def test_holm_by_hand_and_in_any_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]  # never above 1, never out of order
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_keeps_one_false_alarm_in_twenty_families() -> None:
    """Seven measures that all read one ranking, on systems that do not differ: without Holm far more than 5 % have a
    p below 0.05 somewhere.
    """
    generator = np.random.default_rng(3)
    alarms = corrected = 0
    for trial in range(120):
        shared = generator.normal(0, 0.2, 60)
        differences = shared[:, None] + generator.normal(0, 0.2, (60, 7))
        family = deltas(differences, resamples=400, confidence=0.95, seed=trial)
        alarms += min(delta.p_value for delta in family) < 0.05
        corrected += min(delta.p_holm or 1.0 for delta in adjusted(family)) < 0.05
    assert alarms > 14
    assert corrected <= 11
