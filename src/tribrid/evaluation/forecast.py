"""When an experiment would end, of how fast outcomes came in the last days. A forecast of few is none: then it says
what is missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tribrid.evaluation.sequential import log_e_value

LEAST_OUTCOMES, LEAST_DAYS = 20, 2.0
LAST_DAYS = 7.0
"""Traffic before that is not what comes: a corpus that is new is searched more from week to week."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast outcomes came: so many in so many days, the last of them."""

    outcomes: int
    days: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """In how many days it would end, None where that cannot be told; and that in words."""

    days: float | None
    words: str


def forecast(wins: int, losses: int, counted: int, budget: int, alpha: float, pace: Pace) -> Forecast:
    """When it would end, if all goes on as it did; or why that cannot be told.

    Args:
        wins, losses, counted: outcomes so far, and all of them; from the beginning.
        budget: most outcomes.
    """
    if counted < LEAST_OUTCOMES or pace.days < LEAST_DAYS or not pace.outcomes:
        return Forecast(
            None,
            f"When it would end cannot be told yet: that takes {LEAST_OUTCOMES} outcomes over {LEAST_DAYS:g} days, and "
            f"there {'is' if counted == 1 else 'are'} {counted:,}, {pace.outcomes:,} of them in the last "
            f"{max(pace.days, 0.0):.1f} days.",
        )
    a_day = pace.outcomes / pace.days
    latest = max(budget - counted, 0) / a_day
    rate = f"{pace.outcomes:,} outcomes in the last {pace.days:.1f} days are {a_day:.1f} a day"
    limit = f"at the latest {_about(latest)}, when the {budget:,} outcomes are counted"
    more = _until_decided(wins, losses, -math.log(alpha), budget - counted)
    if more is None:
        return Forecast(latest, f"{rate}. As users choose now, it would not be decided; it would end {limit}.")
    sooner = more / ((wins + losses) / counted) / a_day
    if sooner >= latest:
        return Forecast(latest, f"{rate}. It would end {limit}, before it would be decided as users choose now.")
    return Forecast(sooner, f"{rate}. As users choose now, it would end {_about(sooner)}, decided; {limit}.")


def _until_decided(wins: int, losses: int, evidence: float, most: int) -> float | None:
    """How many more outcomes that tell the two apart it takes at the present share of wins; None: more than `most`."""
    told = wins + losses
    for more in range(most + 1):
        share = (told + more) / told if told else 0.0
        if log_e_value(round(wins * share), round(losses * share)) >= evidence:
            return float(more)
    return None


def _about(days: float) -> str:
    whole = math.ceil(days)
    return "within a day" if days < 1 else f"in about {whole:,} {'day' if whole == 1 else 'days'}"
