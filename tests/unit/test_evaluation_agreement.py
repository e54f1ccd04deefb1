"""Weighted kappa against a textbook's figures and a reference's formula, its interval, and when it cannot be told."""

from __future__ import annotations

import random

import pytest

from tribrid.evaluation.agreement import LEAST_QUERIES, Agreed, Pair, agreement, pairs_of


def measured(pairs: list[Pair], seed: int = 1) -> Agreed:
    return agreement(pairs, confidence=0.95, seed=seed)


def reference(pairs: list[Pair], top: int) -> float:
    """The definition, pair by pair: how far the two are apart against how far all pairings are."""
    people = [min(pair.people, top) for pair in pairs]
    model = [min(int(pair.model + 0.5), top) for pair in pairs]
    apart = sum((a - b) ** 2 for a, b in zip(people, model, strict=True)) / len(pairs)
    chance = sum((a - b) ** 2 for a in people for b in model) / len(pairs) ** 2
    return 1 - apart / chance


def noisy(queries: int, noise: float, seed: int = 3, top: int = 3) -> list[Pair]:
    rng = random.Random(seed)
    drawn = [(f"q{query}", rng.randint(0, top)) for query in range(queries) for _ in range(8)]
    return [Pair(q, g, float(rng.randint(0, top) if rng.random() < noise else g)) for q, g in drawn]


@pytest.mark.parametrize("noise", [0.0, 0.3, 0.9, 1.0])
def test_it_is_what_the_definition_gives(noise: float) -> None:
    pairs = noisy(40, noise)
    found = measured(pairs)
    assert found.kappa == pytest.approx(reference(pairs, 3))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.kappa <= found.high  # type: ignore[operator]
    assert sum(map(sum, found.table)) == len(pairs) == found.pairs
    if noise == 0:
        assert (found.kappa, found.low, found.high) == (1, 1, 1)
    if noise == 1:
        assert found.low < 0 < found.high


def test_a_coin_agrees_with_nobody_and_its_interval_holds_zero_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        found = measured(noisy(30, 1.0, seed))
        held += found.low is not None and found.high is not None and found.low <= 0 <= found.high
    assert held >= 52


def test_grades_above_what_people_gave_count_as_their_highest() -> None:
    pairs = [Pair(f"q{n}", n % 2, 3.0 * (n % 2)) for n in range(20)]
    assert measured(pairs).kappa == 1


def test_where_people_gave_one_grade_alone_or_few_queries_it_says_why() -> None:
    assert measured([]).why == "No document was graded by people and by the model."
    alike = measured([Pair(f"q{n}", 1, 1.0) for n in range(30)])
    assert (alike.kappa, alike.low) == (None, None)
    assert "same grade" in (alike.why or "")
    few = measured(noisy(LEAST_QUERIES - 1, 0.2))
    assert few.kappa is not None
    assert few.low is None
    assert few.why == f"An interval takes {LEAST_QUERIES} queries."


def test_only_what_both_graded_is_compared() -> None:
    people = {"q": {"a": 1, "b": 0}, "r": {"a": 1}}
    assert pairs_of(people, {"q": {"a": 2.5, "c": 0.0}}) == [Pair("q", 1, 2.5)]
