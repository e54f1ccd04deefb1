"""Where the report's plots put things. The templates draw them, as inline SVG.

Horizontal positions are percentages and vertical ones pixels, so a plot fills whatever width it is given and its
text keeps its size. Colours are classes of the page's style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tribrid.report.words import number

_TITLED_QUERIES = 600
_MOST_BARS = 1200
_TOP, _BOTTOM = 8, 22
"""Room above the highest value of a curve and below the lowest, px; below stand the ticks of x."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from `low` to `high`, drawn from 0 to 100 %."""

    low: float
    high: float

    def _share(self, value: float) -> float:
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def at(self, value: float) -> str:
        """The position of a value, held within the axis."""
        return f"{100 * self._share(value):.2f}%"

    def down(self, value: float, height: int) -> float:
        """The position on the vertical axis of a curve, pixels from the top."""
        return height - _BOTTOM - self._share(value) * (height - _BOTTOM - _TOP)

    @property
    def digits(self) -> int:
        """Digits that the ticks need."""
        return max(0, -math.floor(math.log10(self.high - self.low) - 0.7))

    @property
    def ticks(self) -> list[float]:
        """Three to six round values within the axis."""
        width = self.high - self.low
        step = 10.0 ** math.floor(math.log10(width / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if width / (step * factor) <= 5)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]

    @property
    def names(self) -> list[tuple[float, str]]:
        """The ticks, each with as many digits as tell it from its neighbours."""
        ticks = self.ticks
        step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
        digits = next((digits for digits in range(6) if step * 10**digits >= 0.999), 6)
        return [(tick, number(tick, digits)) for tick in ticks]


def axis_around(values: Sequence[float], *, include_zero: bool = False) -> Axis:
    """An axis that holds every value with a little room on both sides."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if include_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.06 or 0.01
    return Axis(low - room, high + room)


@dataclass(frozen=True, slots=True)
class Point:
    """A point with, where there is one, the interval of its y."""

    x: float
    y: float
    interval: tuple[float, float] | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of x. `kind` is the class of the line and its dots: before or after; `name` is what it shows."""

    points: Sequence[Point]
    kind: str
    name: str = ""

    @property
    def steps(self) -> list[tuple[Point, Point]]:
        """The ends of each piece of the line."""
        return list(pairwise(self.points))


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines with dots, whiskers where there are intervals, and dashed verticals at `marks`."""

    series: Sequence[Series]
    x: Axis
    y: Axis
    marks: Sequence[float]
    top: int = _TOP
    bottom: int = _BOTTOM


def curve(series: Sequence[Series], *, y: Axis | None = None, marks: Sequence[float] = ()) -> Curve:
    """A curve on axes around its points, or on this vertical one."""
    points = [point for line in series for point in line.points]
    bounds = [bound for point in points for bound in (point.interval or (point.y,))]
    return Curve(series, axis_around([*(point.x for point in points), *marks]), y or axis_around(bounds), marks)


class Bar(NamedTuple):
    """A query's change: its place among all, how high it is (0 to 1, below 0 for a loss), and what it says on hover."""

    at: int
    share: float
    change: float
    title: str


@dataclass(frozen=True, slots=True)
class QueryBars:
    """Each query's change as a bar, best first. `reach` is the change that a bar of full height has."""

    bars: Sequence[Bar]
    shown: int
    reach: float
    gap: float


def query_bars(changes: Sequence[tuple[float, str]]) -> QueryBars:
    """The bars of (after - before, query text).

    Up to 600 queries each bar names its query on hover; beyond 1,200 evenly spaced ones stand for all.
    """
    ordered = sorted(changes, key=lambda change: -change[0])
    shown = ordered
    if len(ordered) > _MOST_BARS:
        shown = [ordered[index * len(ordered) // _MOST_BARS] for index in range(_MOST_BARS)]
    # Rounded up to a quarter, so that the scale has round numbers.
    reach = math.ceil(4 * max((abs(change) for change, _ in ordered), default=1.0)) / 4 or 1.0
    titled = len(shown) <= _TITLED_QUERIES
    bars = [
        Bar(at, change / reach, change, text[:120] if titled else "")
        for at, (change, text) in enumerate(shown)
        if change
    ]
    return QueryBars(bars, max(1, len(shown)), reach, 0.12 if len(ordered) <= _TITLED_QUERIES / 4 else 0.0)
