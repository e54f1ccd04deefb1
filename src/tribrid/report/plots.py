"""The report's plots as inline SVG.

Horizontal positions are percentages and vertical ones pixels, so a plot fills whatever width it is given and its
text keeps its size. Colours are classes of the page's style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

DELTA_HEIGHT = 210
"""Height of the per-query plot, px."""

_TITLED_QUERIES = 600
_MOST_BARS = 1200


@dataclass(frozen=True, slots=True)
class Axis:
    """A horizontal scale from `low` to `high`, drawn from 0 to 100 %."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """The position of a value, held within the axis."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(1.0, max(0.0, share)):.2f}%"

    def ticks(self) -> list[float]:
        """Three to six round values within the axis."""
        width = self.high - self.low
        step = 10.0 ** math.floor(math.log10(width / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if width / (step * factor) <= 5)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axis_around(values: Sequence[float], *, include_zero: bool = False) -> Axis:
    """An axis that holds every value with a little room on both sides."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if include_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.06 or 0.01
    return Axis(low - room, high + room)


def number(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign: +0.052, −0.004, and 0.000 without one."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def bars(before: tuple[float, Sequence[float]] | None, after: tuple[float, Sequence[float]] | None) -> str:
    """Two horizontal bars on 0..1, each with its interval: (value, (low, high))."""
    axis = Axis(0.0, 1.0)
    parts = [_vertical(axis.at(tick), 0, 34, "grid") for tick in axis.ticks()]
    sides = [(before, "before"), (after, "after")] if before and after else [(before or after, "before")]
    for top, (entry, name) in zip((5, 19) if len(sides) > 1 else (12,), sides, strict=True):
        if entry is None:
            continue
        value, (low, high) = entry
        parts.append(f'<rect class="bar-{name}" x="0" y="{top}" width="{axis.at(value)}" height="10" rx="1"/>')
        parts.append(_whisker(axis, low, high, top + 5, "whisker", cap=3))
    return _svg(34, parts, "before and after")


def scale(axis: Axis, signs: bool = False) -> str:
    """The axis's ticks as text, for the head or the foot of a column of plots."""
    digits = max(0, -math.floor(math.log10(axis.high - axis.low) - 0.7))
    write = signed if signs else number
    parts = [
        f'<text x="{axis.at(tick)}" y="11" text-anchor="middle">{write(tick, digits)}</text>' for tick in axis.ticks()
    ]
    return _svg(14, parts, "scale")


def dot(axis: Axis, value: float, interval: Sequence[float], kind: str, *, zero: bool = False) -> str:
    """A mean and its interval on an axis. `kind`: plain, before, after, oracle, gain or loss."""
    parts = [_vertical(axis.at(tick), 0, 24, "grid") for tick in axis.ticks()]
    if zero:
        parts.append(_vertical(axis.at(0.0), 0, 24, "zero"))
    parts.append(_whisker(axis, interval[0], interval[1], 12, f"span span-{kind}", cap=0))
    parts.append(f'<circle class="dot-{kind}" cx="{axis.at(value)}" cy="12" r="4.5"/>')
    return _svg(24, parts, f"{number(value)}, 95 % interval {number(interval[0])} to {number(interval[1])}")


def query_deltas(changes: Sequence[tuple[float, str]], measure: str) -> str:
    """Each query's change as a bar, best first: (after - before, query text).

    Up to 600 queries each bar names its query on hover; beyond 1,200 evenly spaced ones stand for all.
    """
    ordered = sorted(changes, key=lambda change: -change[0])
    wins = sum(1 for delta, _ in ordered if delta > 0)
    losses = sum(1 for delta, _ in ordered if delta < 0)
    shown = _thin(ordered)
    # Rounded up to a quarter, so that the scale has round numbers.
    reach = math.ceil(4 * max((abs(delta) for delta, _ in ordered), default=1.0)) / 4 or 1.0
    middle, half = DELTA_HEIGHT / 2, DELTA_HEIGHT / 2 - 18
    names, parts = [], []
    for share in (1.0, 0.5, 0.0, -0.5, -1.0):
        y = middle - share * half
        parts.append(f'<line class="{"grid" if share else "zero"}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        if share in (1.0, 0.0, -1.0):
            names.append(f'<text x="100%" y="{y + 4:.1f}" text-anchor="end">{signed(share * reach, 2)}</text>')
    # A nested drawing in units of queries, stretched to the width there is.
    parts.append(
        f'<svg x="0" y="{middle - half:.1f}" width="100%" height="{2 * half:.1f}" '
        f'viewBox="0 -1 {max(1, len(shown))} 2" preserveAspectRatio="none">'
    )
    parts.extend(_query_bars(shown, reach, titled=len(shown) <= _TITLED_QUERIES, total=len(ordered)))
    parts.append("</svg>")
    label = f"Change of {measure} on each of {len(ordered)} queries: {wins} better, {losses} worse"
    drawing = _svg(DELTA_HEIGHT, names, "scale") + _svg(DELTA_HEIGHT, parts, label)
    return f'<div class="per-query">{drawing}</div>'


def _thin(ordered: Sequence[tuple[float, str]]) -> Sequence[tuple[float, str]]:
    if len(ordered) <= _MOST_BARS:
        return ordered
    return [ordered[index * len(ordered) // _MOST_BARS] for index in range(_MOST_BARS)]


def _query_bars(shown: Sequence[tuple[float, str]], reach: float, *, titled: bool, total: int) -> list[str]:
    gap = 0.12 if total <= _TITLED_QUERIES / 4 else 0.0
    found = []
    for index, (delta, text) in enumerate(shown):
        if delta == 0:
            continue
        kind = "gain" if delta > 0 else "loss"
        height = abs(delta) / reach
        top = -height if delta > 0 else 0.0
        title = f"<title>{signed(delta)} {escape(text[:120])}</title>" if titled else ""
        found.append(
            f'<rect class="fill-{kind}" x="{index + gap / 2:.2f}" y="{top:.4f}" width="{1 - gap:.2f}" '
            f'height="{height:.4f}">{title}</rect>'
        )
    return found


def _vertical(x: str, top: int, bottom: int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _whisker(axis: Axis, low: float, high: float, y: int, kind: str, *, cap: int) -> str:
    left, right = axis.at(low), axis.at(high)
    line = f'<line class="{kind}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
    if not cap:
        return line
    return line + _vertical(left, y - cap, y + cap, kind) + _vertical(right, y - cap, y + cap, kind)


def _svg(height: int, parts: Sequence[str], label: str) -> str:
    return f'<svg height="{height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
