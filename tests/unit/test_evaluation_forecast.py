"""When an experiment would end, at the pace of the last days."""

from __future__ import annotations

import re

from tribrid.evaluation.forecast import Forecast, Pace, forecast
from tribrid.evaluation.sequential import verdict


def ends(wins: int, losses: int, ties: int, pace: Pace, budget: int = 1000) -> Forecast:
    return forecast(wins, losses, wins + losses + ties, budget, 0.05, pace)


def test_an_experiments_end_is_told_only_where_it_can_be() -> None:
    few, soon, idle = ends(3, 2, 1, Pace(6, 7)), ends(30, 20, 10, Pace(60, 1.0)), ends(30, 20, 50, Pace(0, 7))
    for found in (few, soon, idle):
        assert found.days is None
        assert "cannot be told yet" in found.words
    ahead = ends(30, 20, 50, Pace(70, 7))
    assert "70 outcomes in the last 7.0 days are 10.0 a day" in ahead.words
    (days,) = re.findall(r"would end in about (\d+) days, decided", ahead.words)
    assert ahead.days is not None
    assert int(days) - 1 < ahead.days <= int(days)
    more = int(days) * 11 // 2  # half of the outcomes tell the two apart; a tenth more, as wins are whole numbers
    assert verdict(30 + more * 3 // 5, 20 + more * 2 // 5, 0.05) == "challenger_better"
    assert verdict(30 + more * 3 // 10, 20 + more // 5, 0.05) is None, "and not in half that time"
    assert ends(25, 25, 50, Pace(70, 7)).words.endswith(
        "would not be decided; it would end at the latest in about 90 days, when the 1,000 outcomes are counted."
    )


def test_the_pace_is_that_of_the_last_days() -> None:
    """A corpus that was hardly searched at first, and is now."""
    slow, fast = (ends(30, 20, 50, Pace(outcomes, 7)) for outcomes in (7, 70))
    assert slow.days is not None
    assert fast.days is not None
    assert slow.days == 10 * fast.days
