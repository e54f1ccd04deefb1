"""What a cross-encoder is taught, how much of it is served, and when it is called sick."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from synthetic import training_list
from tribrid.training.health import ill_loss, ill_scores
from tribrid.training.lessons import WEIGHTS, Lesson, Vitals, choose_weight, vitals
from tribrid.training.lists import BAD, GOOD

pytestmark = pytest.mark.slow  # it trains

RNG = np.random.default_rng(0)
DEV = [Lesson.of(training_list(seed, learnable=False), RNG.normal(size=12), 12) for seed in range(40)]
START = Vitals(0.7, 0.6, 2.0, 1.0)


def test_the_head_is_the_blends_best() -> None:
    lesson = Lesson.of(training_list(0, learnable=True), np.arange(12.0), 5)
    assert lesson.head.tolist() == [11, 10, 9, 8, 7]
    without_blend = Lesson.of(training_list(0, learnable=True), np.zeros(0), 5)
    assert without_blend.head.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_is_a_best_candidate_then_worse_ones_of_the_head(seed: int) -> None:
    lesson = Lesson.of(training_list(seed, learnable=True), RNG.normal(size=12), 8)
    grades = lesson.item.grades
    positive, *negatives = lesson.draw(4, "13:0")
    assert grades[positive] == GOOD
    assert set(negatives) <= set(lesson.head.tolist())
    assert (grades[negatives] == BAD).all()
    assert len(set(negatives)) == 4
    worse = [at for at in lesson.head.tolist() if grades[at] == BAD]
    assert negatives[:2] == worse[:2]
    assert lesson.draw(4, "13:0") == [positive, *negatives]


def test_the_blend_teaches_what_it_prefers() -> None:
    lesson = DEV[0]
    taught = lesson.taught_by_blend([3, 1, 2])
    assert taught.sum() == pytest.approx(1)
    assert taught.argsort().tolist() == lesson.blend[[3, 1, 2]].argsort().tolist()


def test_a_cross_encoder_that_helps_by_chance_gets_no_weight() -> None:
    weight, table = choose_weight(DEV, [RNG.normal(size=12) * 0.01 for _ in DEV])
    assert set(table) == {"0", *map(str, WEIGHTS)}
    assert weight == 0
    rng = np.random.default_rng(1)
    served = 0
    for _ in range(60):
        # Both know nothing, so neither can help the other.
        dev = [Lesson.of(one.item, rng.normal(size=12), 12) for one in DEV]
        served += choose_weight(dev, [rng.normal(size=12) for _ in dev])[0] > 0
    assert served <= 6


def test_a_cross_encoder_that_knows_gets_a_weight() -> None:
    knows = [lesson.item.grades[lesson.head].astype(float) for lesson in DEV]
    weight, table = choose_weight(DEV, knows)
    assert weight > 0
    assert table[str(weight)] > table["0"]
    found = vitals(DEV, knows)
    assert found.ndcg == pytest.approx(1.0)
    assert found.served == max(table.values())
    assert found.margin == pytest.approx(GOOD)


def test_one_dev_query_proves_nothing() -> None:
    knows = DEV[0].item.grades[DEV[0].head].astype(float)
    assert choose_weight(DEV[:1], [knows])[0] == 0


@pytest.mark.parametrize("loss", [math.nan, math.inf, 200.0])
def test_a_loss_that_makes_no_sense_is_a_divergence(loss: float) -> None:
    said = ill_loss(loss, 1.0, 5, 7, 1e-2)
    assert said is not None
    assert "step 7" in said
    assert "try 0.001" in said


def test_a_healthy_training_is_let_be() -> None:
    assert ill_loss(1.6, 0.9, 5, 7, 1e-2) is None
    assert ill_loss(1.6, math.nan, 5, 7, 1e-2) is not None
    assert ill_scores(START, replace(START, spread=0.5), 3, 1e-2) is None


@pytest.mark.parametrize(
    ("start", "now", "said"), [(2.0, 1e-3, "collapsed"), (2.0, 500.0, "exploded"), (1e-6, 1e-6, "base_model")]
)
def test_scores_that_lost_their_scale_are_diagnosed(start: float, now: float, said: str) -> None:
    found = ill_scores(replace(START, spread=start), replace(START, spread=now), 3, 1e-2)
    assert found is not None
    assert said in found
