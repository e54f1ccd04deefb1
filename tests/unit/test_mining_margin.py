"""The margin from which a retrieved document is held to be relevant: read off judgments, or careful without them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from tribrid.mining.margin import FEWEST_PAIRS, TRUSTED_RANKS, Margin, calibrate, worth_retrieving
from tribrid.types import DENSE, SPARSE, Candidate, LegScore, Passage

RELATIVE = 0.05
DEPTH = 30


def candidate(doc_id: str, rank: int, score: float, legs: Mapping[str, float] | None = None) -> Candidate:
    scores = {leg: LegScore(rank, value) for leg, value in (legs or {}).items()}
    return Candidate(Passage(doc_id, 0, 0, 1, "", doc_id), rank, score, scores)


def judged(queries: int, is_relevant: Callable[[float, random.Random], bool]) -> list[tuple[set[str], list[Candidate]]]:
    """Queries whose first documents score 1 and whose last 0.42, relevant or not by their score."""
    rng = random.Random(7)
    made = []
    for _ in range(queries):
        found = [candidate(f"d{n}", n + 1, 1 - 0.02 * n) for n in range(DEPTH)]
        made.append(({c.doc_id for c in found if is_relevant(c.score, rng)}, found))
    return made


def test_where_the_top_is_relevant_the_margin_is_where_it_ends() -> None:
    margin = calibrate(judged(60, lambda score, rng: rng.random() < (0.9 if score > 0.9 else 0.02)), RELATIVE)
    assert margin.calibrated
    assert margin.ratio is not None
    assert 0.85 < margin.ratio < 1.1
    assert margin.false_negative_rate is not None
    assert margin.false_negative_rate < 0.1
    near, far, positive = candidate("near", 2, 0.99), candidate("far", 9, 0.6), candidate("p", 1, 0.9)
    assert "1.10" in (margin.suspicion(near, positive) or "")
    assert margin.suspicion(far, positive) is None


def test_where_the_top_is_not_relevant_nothing_is_suspected() -> None:
    """Two relevant documents a query, anywhere: a fixed margin would throw away what stands above the positive."""
    margin = calibrate(judged(60, lambda score, rng: rng.random() < 0.08), RELATIVE)
    assert margin.calibrated
    assert margin.ratio is None
    assert margin.suspicion(candidate("top", 1, 1.0), candidate("p", 30, 0.1)) is None
    assert margin.false_negative_rate == pytest.approx(0.08, abs=0.03)


def test_queries_with_one_answer_speak_against_suspicion() -> None:
    """One query in six is rich. Calibrated on those alone, every other query would lose its best negatives."""
    rich = judged(60, lambda score, rng: score > 0.93)
    poor = judged(300, lambda score, rng: round(score, 2) == 0.9)
    assert calibrate(rich, RELATIVE).ratio is not None
    assert calibrate([*rich, *poor], RELATIVE).ratio is None


def test_a_query_counts_once_however_rich() -> None:
    rich = judged(3, lambda score, rng: True)
    poor = judged(60, lambda score, rng: round(score, 2) in (0.9, 0.5))
    margin = calibrate([*rich, *poor], RELATIVE)
    assert margin.judged_pairs > FEWEST_PAIRS
    assert margin.ratio is None


def test_too_few_judgments_calibrate_nothing() -> None:
    few = judged(4, lambda score, rng: score > 0.96)
    assert not worth_retrieving(relevant for relevant, _ in few)
    margin = calibrate(few, RELATIVE)
    assert not margin.calibrated
    assert margin.false_negative_rate is None
    assert calibrate([], RELATIVE) == Margin(RELATIVE)


BOTH = {SPARSE: 10.0, DENSE: 0.5}


@pytest.mark.parametrize(
    ("legs", "rank", "suspected"),
    [
        ({SPARSE: 10.6, DENSE: 0.53}, 1, True),
        ({SPARSE: 99.0, DENSE: 0.51}, 1, False),
        ({SPARSE: 99.0}, 1, False),
        ({SPARSE: 10.6, DENSE: 0.53}, TRUSTED_RANKS + 1, False),
    ],
)
def test_without_judgments_every_leg_must_say_so_of_a_well_ranked_positive(legs, rank, suspected) -> None:
    found = Margin(RELATIVE).suspicion(candidate("c", 1, 1.0, legs), candidate("p", rank, 0.9, BOTH))
    assert (found is not None) is suspected


def test_a_positive_that_was_not_retrieved_says_nothing() -> None:
    assert Margin(RELATIVE).suspicion(candidate("c", 1, 1.0, BOTH), None) is None
    assert Margin(RELATIVE, True, 0.9).suspicion(candidate("c", 1, 1.0), None) is None
