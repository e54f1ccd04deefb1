"""Is the gain the same on every corpus? The answer, its numbers against scipy's, and how often it is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.consistency import CorpusChange, compare_corpora

CONFIG = EvaluationConfig.model_validate({"resamples": 1000})


def corpus(name: str, gain: float, queries: int = 80, *, seed: int = 1, spread: float = 0.2) -> CorpusChange:
    """A corpus on which every query's change is drawn around `gain`."""
    values = np.random.default_rng([seed, len(name), ord(name[0])]).normal(gain, spread, queries)
    ids = [f"q{at:04}" for at in range(queries)]
    return CorpusChange(
        name, dict.fromkeys(ids, 0.4), dict(zip(ids, (0.4 + values).tolist(), strict=True)), "retrieval", "m"
    )


def answer(*changes: CorpusChange) -> tuple[str, str]:
    _, found = compare_corpora("ndcg@10", changes, CONFIG)
    return found.consistent, " ".join(found.reasons)


def test_a_gain_everywhere_is_consistent() -> None:
    rows, found = compare_corpora("ndcg@10", [corpus("a", 0.1), corpus("b", 0.1), corpus("c", 0.1)], CONFIG)
    assert found.consistent == "yes"
    assert found.reasons[0] == "It rises on each of the 3 corpora."
    assert [row.corpus_id for row in rows] == ["a", "b", "c"]
    assert found.pooled is not None
    assert found.pooled.mean == pytest.approx(np.mean([row.delta.mean for row in rows if row.delta]))
    low, high = found.pooled.ci95
    assert 0 < low < found.pooled.mean < high
    assert (found.gains, found.losses) == (3, 0)


def test_a_gain_on_queries_that_were_trained_on_proves_nothing() -> None:
    said, why = answer(corpus("a", 0.1), replace(corpus("b", 0.1), leaked=3), corpus("c", 0.1))
    assert said == "unclear"
    assert why.startswith("Queries of b were trained on")


def test_a_certain_loss_anywhere_is_not() -> None:
    said, why = answer(corpus("a", 0.2), corpus("b", -0.15), corpus("c", 0.2))
    assert said == "no"
    assert why.startswith("It falls on b")
    assert "differs between the corpora" in why


def test_what_may_be_chance_is_left_open() -> None:
    ids = [f"q{at}" for at in range(10)]
    swings = {query_id: 0.395 + (0.3 if at % 2 else -0.3) for at, query_id in enumerate(ids)}
    few = CorpusChange("few", dict.fromkeys(ids, 0.4), swings, "retrieval", "m")
    said, why = answer(corpus("a", 0.05), few)
    assert said == "unclear"
    assert why.startswith("It does not rise on few, which may be chance.")
    one_value = {"q1": 0.5, "q2": 0.5}
    same = CorpusChange("s", one_value, one_value, "retrieval", "m")
    said, why = answer(same, same)
    assert said == "unclear"
    assert "cannot be said" in why


def test_heterogeneity_is_cochrans_and_weights_every_corpus_by_its_error() -> None:
    changes = [corpus("a", 0.1, 50), corpus("b", 0.0, 200), corpus("c", 0.3, 30)]
    found = compare_corpora("ndcg@10", changes, CONFIG)[1].heterogeneity
    assert found is not None
    means = np.array([change.differences.mean() for change in changes])
    errors = np.array([stats.sem(change.differences) for change in changes])
    pooled = np.average(means, weights=errors**-2)
    q = (((means - pooled) / errors) ** 2).sum()
    assert found.q == pytest.approx(q)
    assert found.p_value == pytest.approx(stats.chi2.sf(q, 2))
    assert found.i2 == pytest.approx(max(0.0, (q - 2) / q))


def test_alike_corpora_are_seldom_said_to_differ_and_no_gain_is_seldom_called_consistent() -> None:
    differ = consistent = 0
    for seed in range(100):
        changes = [corpus(name, 0.0, 60, seed=seed) for name in ("a", "bb", "ccc")]
        found = compare_corpora("ndcg@10", changes, EvaluationConfig.model_validate({"resamples": 200}))[1]
        assert found.heterogeneity is not None
        differ += found.heterogeneity.p_value < 0.05
        consistent += found.consistent == "yes"
    assert differ <= 12
    assert consistent <= 6
