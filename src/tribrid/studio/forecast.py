"""When an experiment would end, of how fast outcomes came so far; and how it went day by day.

Answers in, words and plots out. A forecast of few outcomes is no forecast: then it says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from tribrid.answers.experiment import ExperimentDay, ExperimentStatus
from tribrid.evaluation.sequential import log_e_value
from tribrid.report.plots import Axis, Curve, Point, Series, curve
from tribrid.studio.words import counted

LEAST_OUTCOMES, LEAST_DAYS = 20, 2.0
_DAY_S = 86_400


def forecast(found: ExperimentStatus, now: datetime) -> str:
    """When it would end, if all goes on as it did; or why that cannot be told."""
    so_far, told = found.impressions, found.impressions.wins + found.impressions.losses
    passed = ((now - found.started_at).total_seconds() - found.window_s) / _DAY_S
    if so_far.counted < LEAST_OUTCOMES or passed < LEAST_DAYS:
        return (
            f"When it would end cannot be told yet: that takes {LEAST_OUTCOMES} outcomes over {LEAST_DAYS:g} days, and "
            f"there {'is' if so_far.counted == 1 else 'are'} {so_far.counted:,} after {max(passed, 0.0):.1f} days."
        )
    a_day = so_far.counted / passed
    latest = max(so_far.budget - so_far.counted, 0) / a_day
    rate = f"{so_far.counted:,} outcomes in {passed:.1f} days are {a_day:.1f} a day"
    limit = f"at the latest {_about(latest)}, when the {so_far.budget:,} outcomes are counted"
    more = _until_decided(so_far.wins, so_far.losses, -math.log(found.alpha), so_far.budget - so_far.counted)
    if more is None:
        return f"{rate}. As users choose now, it would not be decided; it ends {limit}."
    sooner = more / (told / so_far.counted) / a_day
    if sooner >= latest:
        return f"{rate}. It ends {limit}, before it would be decided as users choose now."
    return f"{rate}. If users go on choosing as they do, it would be decided {_about(sooner)}; {limit}."


def history(days: Sequence[ExperimentDay]) -> Curve | None:
    """The share of wins with its interval, by day; None for a single day."""
    if len(days) < 2:
        return None
    points = [
        Point(
            (row.day - days[0].day).days,
            row.wins / (row.wins + row.losses),
            (row.low, row.high),
            f"{row.day}: {row.wins:,} of {row.wins + row.losses:,}, {row.low:.0%} to {row.high:.0%}",
        )
        for row in days
    ]
    return curve([Series(points, "after")], y=Axis(0.0, 1.0))


def _until_decided(wins: int, losses: int, evidence: float, most: int) -> float | None:
    """How many more outcomes that tell the two apart it takes at the present share of wins; None: more than `most`."""
    told = wins + losses
    for more in range(most + 1):
        share = (told + more) / told if told else 0.0
        if log_e_value(round(wins * share), round(losses * share)) >= evidence:
            return float(more)
    return None


def _about(days: float) -> str:
    return "within a day" if days < 1 else f"in about {counted(math.ceil(days), 'day')}"
