"""How far two judges agree."""

from __future__ import annotations

import numpy as np
import pytest

from tribrid.evaluation.agreement import LEAST_QUERIES, weighted_kappa


def test_kappa_is_that_of_the_textbook_with_quadratic_weights() -> None:
    """Against the correlation that it is with equal margins: Fleiss and Cohen (1973)."""
    pairs = [("q", 0, 0), ("q", 1, 1), ("q", 2, 1), ("q", 1, 2), ("q", 3, 3), ("q", 0, 3), ("q", 3, 0)]
    found = weighted_kappa(pairs, 4)
    a, b = (np.array([pair[side] for pair in pairs]) for side in (1, 2))
    assert found.kappa == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found.table == ((1, 0, 0, 1), (0, 1, 1, 0), (0, 1, 0, 0), (1, 0, 0, 1))
    assert weighted_kappa([("q", 0, 0), ("q", 3, 3)], 4).kappa == 1
    assert weighted_kappa([("q", 0, 3), ("q", 3, 0)], 4).kappa == -1


def test_what_cannot_be_told_is_not_told() -> None:
    assert weighted_kappa([("q", 1, 1), ("r", 1, 1)], 4).kappa is None, "one grade throughout: by chance the same"
    few = [(f"q{at}", at % 4, at % 3) for at in range(LEAST_QUERIES - 1)]
    assert weighted_kappa(few, 4).ci95 is None
    assert weighted_kappa([], 4).kappa is None


def test_the_interval_is_over_queries_and_not_over_documents() -> None:
    """A hundred documents of ten queries say what ten queries say: to repeat documents does not narrow it."""
    rng = np.random.default_rng(1)
    graded = [(f"q{at}", int(grade), int(np.clip(grade + rng.integers(-1, 2), 0, 3))) for at in range(10)
              for grade in rng.integers(0, 4, 3)]  # fmt: skip
    once, often = weighted_kappa(graded, 4), weighted_kappa(graded * 10, 4)
    assert once.ci95 is not None
    assert once.kappa == pytest.approx(often.kappa)
    assert once.ci95 == pytest.approx(often.ci95)
    assert once.ci95[0] < (once.kappa or 0) < once.ci95[1]
