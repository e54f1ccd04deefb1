"""How searching went day by day: traffic, fallbacks, where people click, how long they wait.

Answers in, plots out. A day on which nothing was asked has no latency, and its line has a gap there; traffic was zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from tribrid.answers.logs import Day
from tribrid.report.plots import Axis, Curve, Point, Series
from tribrid.report.words import milliseconds, number
from tribrid.studio.words import counted

DAYS = 30
Value = tuple[float, str]
"""A day's value and what it says on hover."""


@dataclass(frozen=True, slots=True)
class Over:
    """One figure. `now`: of all days, in words; `failed`: of what failed; no curve: no data."""

    title: str
    now: str
    of: str
    curve: Curve | None = None
    failed: bool = False


class OverTime(NamedTuple):
    """The figures, and the day that they end with: x is days from it, 0 and less."""

    figures: list[Over]
    end: date


def over_time(days: Sequence[Day], today: date) -> OverTime | None:
    """The four figures of the last 30 days, or of the last 30 that the log has; None where it has no day."""
    if not days:
        return None
    end = today if (today - days[-1].day).days < DAYS else days[-1].day
    shown = [end - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    logged = {day.day: day for day in days if shown[0] <= day.day <= end}
    return OverTime([draw(shown, logged) for draw in (_traffic, _fallbacks, _clicked, _waited)], end)


def _traffic(days: Sequence[date], logged: Mapping[date, Day]) -> Over:
    lists = sum(day.impressions for day in logged.values())
    acted = sum(day.with_feedback for day in logged.values())
    plot = _plot(days, lambda day: _lists(logged.get(day)))
    return Over("Searches", f"{lists:,}", f"{acted:,} with feedback", plot)


def _lists(day: Day | None) -> Value:
    return (float(day.impressions), f"{day.impressions:,}") if day else (0.0, "none")


def _fallbacks(days: Sequence[date], logged: Mapping[date, Day]) -> Over:
    failed, lists = (sum(getattr(day, name) for day in logged.values()) for name in ("fallbacks", "impressions"))
    plot = _plot(days, lambda day: _failed(logged.get(day)))
    of = f"of {counted(lists, 'search', 'searches')}"
    return Over("Fallbacks", f"{failed:,}" if failed else "0", of, plot, failed=failed > 0)


def _failed(day: Day | None) -> Value | None:
    return (float(day.fallbacks), f"{day.fallbacks:,} of {day.impressions:,}") if day else None


def _clicked(days: Sequence[date], logged: Mapping[date, Day]) -> Over:
    clicks = sum(day.clicks for day in logged.values())
    if not clicks:
        return Over("Clicked rank", "no data", "nobody clicked")
    mean = sum((day.clicked_rank or 0) * day.clicks for day in logged.values()) / clicks
    plot = _plot(days, lambda day: _rank(logged.get(day)))
    return Over("Clicked rank", number(mean, 1), f"mean of {counted(clicks, 'click')}", plot)


def _rank(day: Day | None) -> Value | None:
    if day is None or day.clicked_rank is None:
        return None
    return day.clicked_rank, f"rank {number(day.clicked_rank, 1)}, mean of {counted(day.clicks, 'click')}"


def _waited(days: Sequence[date], logged: Mapping[date, Day]) -> Over:
    searches = sum(day.searches for day in logged.values())
    if not searches:
        return Over("Time to answer", "no data", "nothing was searched here, only imported")
    mean = sum((day.took_ms or 0) * day.searches for day in logged.values()) / searches
    plot = _plot(days, lambda day: _took(logged.get(day)))
    return Over("Time to answer", milliseconds(mean), f"mean of {counted(searches, 'search', 'searches')}", plot)


def _took(day: Day | None) -> Value | None:
    if day is None or day.took_ms is None:
        return None
    return day.took_ms, f"{milliseconds(day.took_ms)}, mean of {day.searches:,}"


def _plot(days: Sequence[date], value: Callable[[date], Value | None]) -> Curve:
    """Values by day, from 0 on; where a day has none the line is broken."""
    pieces: list[list[Point]] = [[]]
    for at, day in enumerate(days):
        found = value(day)
        if found is None:
            pieces.append([])
        else:
            pieces[-1].append(Point(at - len(days) + 1, found[0], title=f"{day}: {found[1]}"))
    series = [Series(piece, "after") for piece in pieces if piece]
    highest = max((point.y for piece in pieces for point in piece), default=0.0)
    return Curve(series, Axis(0.5 - len(days), 0.5), Axis(0.0, max(highest * 1.08, 1.0)), ())
