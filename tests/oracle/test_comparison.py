"""The interval and the p-value against scipy.stats, which computes them another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tribrid.evaluation.comparison import compare, deltas, intervals, sign_flip_p


def sample(name: str, queries: int) -> np.ndarray:
    generator = np.random.default_rng([KINDS.index(name), queries])
    normal = generator.normal(0.05, 0.2, queries)
    return {
        "normal": normal,
        "mostly ties": np.where(generator.random(queries) < 0.6, 0.0, normal),
        "skewed": generator.exponential(0.1, queries) - 0.05,
        "coarse": generator.choice([-0.5, 0.0, 0.0, 0.5, 1.0], queries),
    }[name]


KINDS = ["normal", "mostly ties", "skewed", "coarse"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", [3, 7, 12])
def test_exact_p_value_is_scipys(kind: str, queries: int) -> None:
    values = sample(kind, queries)
    ours = sign_flip_p(values[:, None], resamples=5000, seed=1)[0]
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert ours == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_random_p_value_is_near_scipys(kind: str) -> None:
    values = sample(kind, 60)
    ours = sign_flip_p(values[:, None], resamples=20_000, seed=1)[0]
    theirs = stats.permutation_test(
        (values,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        vectorized=True,
        batch=2000,
        rng=np.random.default_rng(2),
    )
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_interval_is_scipys_bca(kind: str, level: float) -> None:
    values = sample(kind, 80)
    ours = intervals(values[:, None], levels=[level], resamples=20_000, seed=1)[0, 0]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=level, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    # Two bootstraps with different draws: their bounds differ by a few percent of the interval.
    width = theirs.high - theirs.low
    assert ours[0] == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours[1] == pytest.approx(theirs.high, abs=0.04 * width)


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    generator = np.random.default_rng(5)
    values = np.where(generator.random((100, 600)) < 0.5, 0.0, generator.normal(0.04, 0.25, (100, 600)))
    found = intervals(values, levels=[0.95], resamples=1000, seed=3)[0]
    covered = ((found[:, 0] <= 0.02) & (found[:, 1] >= 0.02)).mean()
    assert 0.92 <= covered <= 0.98


def test_p_values_of_equal_systems_are_uniform() -> None:
    generator = np.random.default_rng(8)
    values = np.where(generator.random((60, 800)) < 0.4, 0.0, generator.normal(0, 0.2, (60, 800)))
    found = sign_flip_p(values, resamples=1000, seed=4)
    for level in (0.01, 0.05, 0.2, 0.5):
        spread = 3 * (level * (1 - level) / 800) ** 0.5
        assert (found <= level).mean() == pytest.approx(level, abs=spread + 0.002)


def test_one_column_alone_and_among_others_is_the_same() -> None:
    generator = np.random.default_rng(6)
    values = generator.normal(0, 0.2, (40, 5))
    together = deltas(values, resamples=500, confidence=0.9, seed=7)
    alone = compare(
        dict.fromkeys(map(str, range(100, 140)), 0.0),
        {str(100 + at): float(value) for at, value in enumerate(values[:, 3])},
        resamples=500,
        confidence=0.9,
        seed=7,
    )
    assert together[3].p_value == alone.p_value
    assert together[3].ci == pytest.approx(alone.ci, abs=1e-12)
