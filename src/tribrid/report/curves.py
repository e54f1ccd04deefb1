"""Plots of one value over another as inline SVG, in the manner of plots.py: x in per cent, y in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from tribrid.report.plots import Axis, axis_around, number

_TOP, _BOTTOM = 8, 22
"""Room above the highest value and below the lowest, px; below stand the ticks of x."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point with, where there is one, the interval of its y."""

    x: float
    y: float
    interval: Sequence[float] | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of x. `kind` is the class of the line and its dots: before or after."""

    points: Sequence[Point]
    kind: str


def curve_plot(
    series: Sequence[Series], label: str, *, height: int, y: Axis | None = None, marks: Sequence[float] = ()
) -> str:
    """Lines with dots, whiskers where there are intervals, and dashed verticals at `marks`.

    Args:
        label: what it shows, for those who cannot see it.
        height: px.
        y: the vertical scale; None: around the values.
    """
    points = [point for line in series for point in line.points]
    x_axis = axis_around([*(point.x for point in points), *marks])
    bounds = [bound for point in points for bound in (point.interval or (point.y,))]
    y_axis = y or axis_around(bounds)
    names, parts = _frame(x_axis, y_axis, height)
    parts.extend(
        f'<line class="mark" x1="{x_axis.at(x)}" x2="{x_axis.at(x)}" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
        for x in marks
    )
    for line in series:
        parts.extend(_line(line, x_axis, y_axis, height))
    drawing = _svg(height, names, "scale") + _svg(height, parts, label)
    return f'<div class="per-query">{drawing}</div>'


def _frame(x_axis: Axis, y_axis: Axis, height: int) -> tuple[list[str], list[str]]:
    """The names of the y ticks; the grid, and the names of the x ticks."""
    y_ticks, x_ticks = y_axis.ticks(), x_axis.ticks()
    names = [
        f'<text x="100%" y="{_y(y_axis, tick, height) + 4:.1f}" text-anchor="end">{_short(tick, y_ticks)}</text>'
        for tick in y_ticks
    ]
    grid = [
        f'<line class="grid" x1="0" x2="100%" y1="{_y(y_axis, tick, height):.1f}" y2="{_y(y_axis, tick, height):.1f}"/>'
        for tick in y_ticks
    ]
    grid += [
        f'<text x="{x_axis.at(tick)}" y="{height - 5}" text-anchor="middle">{_short(tick, x_ticks)}</text>'
        for tick in x_ticks
    ]
    return names, grid


def _line(line: Series, x_axis: Axis, y_axis: Axis, height: int) -> list[str]:
    places = [(x_axis.at(point.x), _y(y_axis, point.y, height)) for point in line.points]
    found = [
        f'<line class="trace-{line.kind}" x1="{x1}" x2="{x2}" y1="{y1:.1f}" y2="{y2:.1f}"/>'
        for (x1, y1), (x2, y2) in pairwise(places)
    ]
    for point, (x, y) in zip(line.points, places, strict=True):
        if point.interval is not None:
            low, high = (_y(y_axis, bound, height) for bound in point.interval)
            found.append(f'<line class="whisker" x1="{x}" x2="{x}" y1="{low:.1f}" y2="{high:.1f}"/>')
        title = f"<title>{escape(point.title)}</title>" if point.title else ""
        found.append(f'<circle class="dot-{line.kind}" cx="{x}" cy="{y:.1f}" r="4">{title}</circle>')
    return found


def _y(axis: Axis, value: float, height: int) -> float:
    """Pixels from the top."""
    share = (value - axis.low) / (axis.high - axis.low)
    return height - _BOTTOM - min(1.0, max(0.0, share)) * (height - _BOTTOM - _TOP)


def _short(tick: float, ticks: Sequence[float]) -> str:
    """A tick with as many digits as tell it from its neighbours."""
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=1.0)
    digits = next((digits for digits in range(6) if step * 10**digits >= 0.999), 6)
    return number(tick, digits)


def _svg(height: int, parts: Sequence[str], label: str) -> str:
    return f'<svg height="{height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
