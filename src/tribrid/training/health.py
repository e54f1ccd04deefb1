"""Whether a cross-encoder's training still makes sense, and in words what is wrong if it does not."""

from __future__ import annotations

import math

from tribrid.training.lessons import Vitals

LEAST_SPREAD = 1e-4
"""Standard deviation of a list's scores below which a model says the same of everything."""
COLLAPSED, EXPLODED = 0.01, 100.0
"""Shares of the spread it started with, below and above which a model has lost what it knew."""
SENSELESS_LOSS = 20.0
"""Times the loss of a guess."""


def ill_loss(loss: float, gradient: float, choices: int, step: int, learning_rate: float) -> str | None:
    """What is wrong with a step, if anything.

    Args:
        loss: the listwise loss of the step, nats.
        gradient: norm of the gradient.
        choices: candidates a list; a guess among them costs log(choices).
        step: counted from 1.
        learning_rate: training.learning_rate.
    """
    if not math.isfinite(loss) or not math.isfinite(gradient):
        seen = f"the loss is {loss:g} and the gradient's norm {gradient:g}"
    elif loss > SENSELESS_LOSS * math.log(max(choices, 2)):
        seen = f"the loss is {loss:.1f}, where guessing costs {math.log(max(choices, 2)):.1f}"
    else:
        return None
    return f"The cross-encoder's training diverged at step {step}: {seen}. {_slower(learning_rate)}"


def ill_scores(start: Vitals, now: Vitals, step: int, learning_rate: float) -> str | None:
    """What is wrong with a model's scores on dev, if anything; `start` is before the first step."""
    if start.spread < LEAST_SPREAD:
        return (
            f"The base model gives all passages of a query the same score (standard deviation {start.spread:.1e}) "
            "before any training, so it has no order to start from. Set training.base_model to another model."
        )
    if now.spread < max(LEAST_SPREAD, COLLAPSED * start.spread):
        return (
            f"The cross-encoder collapsed by step {step}: its scores of a query's passages are nearly equal (standard "
            f"deviation {now.spread:.2g}, {start.spread:.2g} at the start). {_slower(learning_rate)}"
        )
    if now.spread > EXPLODED * start.spread:
        return (
            f"The cross-encoder's scores exploded by step {step}: their standard deviation in a list is "
            f"{now.spread:.3g}, {start.spread:.2g} at the start. {_slower(learning_rate)}"
        )
    return None


def _slower(learning_rate: float) -> str:
    return f"Lower training.learning_rate: it is {learning_rate:g}, try {learning_rate / 10:g}."
