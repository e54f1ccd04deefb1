"""What a cross-encoder is taught and measured on: the head of each query's list, as it will be served to it.

The head is ranked by a blend that never saw the query, so what the cross-encoder learns to change is what the served
blend gets wrong.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribrid.scoring.learned import Scores, reorder_head, standard
from tribrid.training.lists import TrainingList, ndcg

WEIGHTS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""How much of the cross-encoder may be mixed in; which, and whether, dev decides."""
CERTAIN = 2.4
"""Standard errors by which it must help on dev: 95 %, one-sided, for the best of six weights (Bonferroni). Reading with
it costs a search dozens of times what the blend does, so it is not served for a gain that may be chance."""
ALONE = 1e6
"""A weight beside which the blend no longer counts."""
SHARPNESS = 2.0
"""Logits a standard deviation of the blend's scores, where it teaches."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One query's list for the cross-encoder.

    Attributes:
        blend: (n,) scores of the candidates by a blend that never saw the query's cluster.
        head: positions of the best candidates by `blend`, in that order: what the cross-encoder reorders.
    """

    item: TrainingList
    blend: Scores
    head: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def of(cls, item: TrainingList, held_out: Scores, depth: int) -> Lesson:
        """A lesson; where no blend was fitted without the query (`held_out` is empty), the fused order stands in."""
        blend = held_out if len(held_out) else np.array([c.score for c in item.candidates])
        return cls(item, blend, np.argsort(-blend, kind="stable")[:depth])

    @property
    def weight(self) -> float:
        """Of the list in a loss: that of its surest label."""
        return float(self.item.weights.max())

    def draw(self, negatives: int, seed: str) -> list[int]:
        """Positions of one positive, then negatives of the head that are worse; half the best-ranked, half any."""
        rng = random.Random(f"{seed}:{self.item.labels.query_id}")
        grades = self.item.contrast[0]
        positive = rng.choice(np.flatnonzero(grades == grades.max()).tolist())
        worse = [at for at in self.head.tolist() if 0 <= grades[at] < grades[positive]]
        top, rest = worse[: negatives // 2], worse[negatives // 2 :]
        return [positive, *top, *rng.sample(rest, min(len(rest), negatives - len(top)))]

    def taught_by_blend(self, positions: Sequence[int]) -> Scores:
        """Probabilities (len(positions),) that the blend gives to each of them being the best one."""
        logits = SHARPNESS * standard(self.blend[list(positions)])
        exponent = np.exp(logits - logits.max())
        found: Scores = exponent / exponent.sum()
        return found


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and its candidate at one position: what a cross-encoder reads at a time."""

    lesson: Lesson
    at: int

    @property
    def query_key(self) -> tuple[str, int]:
        """Names the query; no passage has a negative ordinal."""
        return (self.lesson.item.labels.query_id, -1)

    @property
    def passage_key(self) -> tuple[str, int]:
        return self.lesson.item.candidates[self.at].passage.key

    @property
    def query(self) -> str:
        return self.lesson.item.labels.query

    @property
    def passage(self) -> tuple[str, str]:
        """Title and text."""
        passage = self.lesson.item.candidates[self.at].passage
        return passage.title, passage.text

    @property
    def fused(self) -> float:
        """The first stage's score."""
        return self.lesson.item.candidates[self.at].score


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a cross-encoder is doing on dev.

    Attributes:
        served: mean nDCG@10 with as much of it beside the blend as is best, which may be nothing.
        ndcg: mean nDCG@10 of the lists with their heads in its order alone.
        spread: mean standard deviation of its scores within a head.
        margin: mean score of a head's good candidates minus that of its bad ones, over the heads that have both.
    """

    served: float
    ndcg: float
    spread: float
    margin: float


def vitals(dev: Sequence[Lesson], read: Sequence[Scores]) -> Vitals:
    """Measure; `read` holds the scores of each lesson's head, in its order."""
    by_weight = {weight: float(_gained(dev, read, weight).mean()) for weight in (0.0, *WEIGHTS, ALONE)}
    margins = []
    for one, scores in zip(dev, read, strict=True):
        grades = one.item.grades[one.head]
        good, bad = scores[grades > 0], scores[grades == 0]
        if len(good) and len(bad):
            margins.append(float(good.mean() - bad.mean()))
    spreads = [float(scores.std()) for scores in read if len(scores) > 1]
    return Vitals(
        max(value for weight, value in by_weight.items() if weight != ALONE),
        by_weight[ALONE],
        float(np.mean(spreads)) if spreads else 1.0,
        float(np.mean(margins)) if margins else 0.0,
    )


def _gained(dev: Sequence[Lesson], read: Sequence[Scores], weight: float) -> Scores:
    """(len(dev),) nDCG@10 of each list with its head by the blend and so much of the cross-encoder."""
    mixed = [reorder_head(one.blend, scores, weight) for one, scores in zip(dev, read, strict=True)]
    return np.array([ndcg(scores, one.item) for one, scores in zip(dev, mixed, strict=True)])


def choose_weight(dev: Sequence[Lesson], read: Sequence[Scores]) -> tuple[float, dict[str, float]]:
    """The cross-encoder's weight beside the blend: the best on dev if its gain is beyond chance (`CERTAIN`), else 0.

    Args:
        dev: held-out lessons.
        read: the cross-encoder's scores of each lesson's head, in its order.

    Returns:
        The weight, and the mean nDCG@10 by weight ("0": the blend alone).
    """
    without = _gained(dev, read, 0.0)
    table = {"0": float(without.mean())}
    best, best_gain = 0.0, 0.0
    for weight in WEIGHTS:
        found = _gained(dev, read, weight)
        table[str(weight)] = float(found.mean())
        gains = found - without
        error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
        if gains.mean() > max(CERTAIN * error, best_gain):
            best, best_gain = weight, float(gains.mean())
    return best, table
