"""The verdict that may be asked for after every impression: what it errs, what it finds, and how soon."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate
from scipy.stats import beta

from tribrid.evaluation.sequential import PRIOR, decided, e_value, in_words, verdict, win_share

ALPHA = 0.05
Walks = NDArray[np.int64]


def walks(share: float, experiments: int, length: int) -> Walks:
    """Wins of the challenger so far, (experiments, length), where it wins this share of what is decided."""
    return np.cumsum(np.random.default_rng(5).random((experiments, length)) < share, axis=1)


def ends(wins: Walks, alpha: float = ALPHA) -> list[tuple[int, str | None]]:
    """When each experiment ends, asked after every impression, and how."""
    bounds = [bound(number, alpha) for number in range(1, wins.shape[1] + 1)]
    numbers = np.arange(1, wins.shape[1] + 1)
    over = np.maximum(wins, numbers - wins) >= bounds
    found: list[tuple[int, str | None]] = []
    for row, hit in zip(wins, over, strict=True):
        at = int(hit.argmax()) if hit.any() else len(row) - 1
        found.append((at + 1, verdict(int(row[at]), at + 1 - int(row[at]), alpha)))
    return found


def bound(number: int, alpha: float) -> int:
    """The fewest wins of this many at which there is a verdict; more than all where there is none."""
    low, high = number // 2, number + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if verdict(middle, number - middle, alpha) else (middle, high)
    return high


def test_the_e_value_is_the_mixture_s_likelihood_ratio() -> None:
    def weighed(share: float) -> float:
        return float((share / 0.5) ** 31 * ((1 - share) / 0.5) ** 14 * beta.pdf(share, PRIOR, PRIOR))

    assert e_value(31, 14) == pytest.approx(integrate.quad(weighed, 0, 1)[0], rel=1e-6)
    assert e_value(0, 0) == pytest.approx(1)
    # A fair coin's e-value is worth as much after the next draw as before it.
    assert (e_value(32, 14) + e_value(31, 15)) / 2 == pytest.approx(e_value(31, 14))
    assert np.isfinite(e_value(10**7, 0))


@pytest.mark.parametrize("counts", [(1, 0), (0, 1), (30, 10), (55, 45), (10, 60), (5000, 5200)])
def test_the_interval_leaves_one_half_when_there_is_a_verdict(counts: tuple[int, int]) -> None:
    low, high = win_share(*counts, ALPHA)
    assert 0 <= low <= counts[0] / sum(counts) <= high <= 1
    assert (low <= 0.5 <= high) is (verdict(*counts, ALPHA) is None)


def test_nothing_is_known_of_nothing() -> None:
    assert win_share(0, 0, ALPHA) == (0, 1)
    assert verdict(0, 0, ALPHA) is None


def test_equals_are_told_apart_in_less_than_alpha_however_often_one_looks() -> None:
    wins = walks(0.5, 2000, 1500)
    wrong = sum(found is not None for _, found in ends(wins)) / len(wins)
    assert wrong < ALPHA
    # What is avoided: an ordinary test at the same level, looked at as often.
    numbers = np.arange(1, wins.shape[1] + 1)
    ordinary = (np.abs(2 * wins - numbers) - 1 > 1.96 * np.sqrt(numbers)) & (numbers >= 10)
    assert ordinary.any(axis=1).mean() > 4 * ALPHA


def test_the_interval_holds_the_share_at_all_times() -> None:
    share, missed = 0.58, 0
    wins = walks(share, 300, 400)
    for row in wins:
        intervals = (
            win_share(int(won), number - int(won), ALPHA) for number, won in enumerate(row, 1) if number % 8 == 0
        )
        missed += any(not low <= share <= high for low, high in intervals)
    assert missed / len(wins) < ALPHA


@pytest.mark.parametrize(("share", "length", "fixed"), [(0.57, 1150, 657), (0.6, 540, 319), (0.7, 130, 75)])
def test_it_finds_the_better_one_sooner_than_one_look_of_the_same_power(share: float, length: int, fixed: int) -> None:
    """`fixed`: impressions that a sign test at the same level, looked at once, needs for a power of 0.95."""
    found = ends(walks(share, 1000, length))
    assert sum(ending == "challenger_better" for _, ending in found) >= 0.95 * len(found)
    assert sum(ending == "challenger_worse" for _, ending in found) <= 0.005 * len(found)
    assert np.mean([number for number, _ in found]) < 0.8 * fixed
    mirrored = ends(walks(1 - share, 1000, length))
    assert sum(ending == "challenger_worse" for _, ending in mirrored) >= 0.95 * len(mirrored)


def test_it_says_what_it_knows() -> None:
    said = in_words("challenger_better", "the retrieval order", 60, 20, 300, ALPHA, 41)
    assert (
        "Of 300 outcomes (one a client and day), 80 told the two apart, from 41 clients, and the challenger won 60"
        in (said)
    )
    assert "95 % confidence" in said
    assert said.endswith("It is better than the retrieval order.")
    assert "no verdict yet" in in_words(None, "x", 0, 0, 0, ALPHA, 0)
    assert "No difference" in in_words("no_difference", "x", 5, 5, 100, 0.01, 1)
    assert "99 % confidence" in in_words("challenger_worse", "x", 5, 50, 100, 0.01, 55)


def test_a_verdict_takes_a_least_number_of_clients() -> None:
    won = [(1, 0)] * 30
    assert decided(30, 0, won, ALPHA, 20) == decided(30, 0, won, ALPHA, 30) == "challenger_better"
    assert decided(30, 0, won, ALPHA, 31) is None
    assert decided(0, 30, [(0, 1)] * 30, ALPHA, 20) == "challenger_worse"


def test_a_verdict_stands_without_any_one_client() -> None:
    """One who came back for weeks, among many who saw no difference."""
    others = [(1, 0), (0, 1)] * 12
    assert verdict(12 + 40, 12, ALPHA) == "challenger_better"
    assert decided(12 + 40, 12, [*others, (40, 0)], ALPHA, 20) is None
    assert decided(40, 0, [(40, 0)], ALPHA, 1) == "challenger_better", "a corpus of one person's own, by its setting"
    assert decided(40, 0, [(40, 0)], ALPHA, 2) is None
