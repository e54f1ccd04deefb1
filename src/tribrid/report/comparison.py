"""A comparison of systems as a page, and as a drawing by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tribrid.answers.comparison import SystemComparison
from tribrid.report.plots import Axis, axis_around
from tribrid.report.templates import render

_ROW, _TOP = 26, 30


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG. Notebooks show it."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write it as an .svg file."""
        Path(path).write_text(self.svg, encoding="utf-8")


def comparison_plot(found: SystemComparison, measure: str) -> Drawing:
    """Each system's mean of a measure with its interval.

    Raises:
        KeyError: the measure is none of the comparison's.
    """
    rows = [(name, system.means[measure], system.ci95[measure]) for name, system in found.systems.items()]
    return Drawing(
        render(
            "comparison.svg",
            rows=rows,
            axis=_axis(found, measure),
            title=f"{measure}, mean over {found.queries:,} queries, 95 % interval",
            row=_ROW,
            top=_TOP,
            height=_TOP + _ROW * len(rows) + _ROW,
        )
    )


def comparison_page(found: SystemComparison) -> str:
    """The whole comparison as one HTML page that loads nothing from anywhere."""
    key = found.primary_measure
    changes = [pair for pair in found.pairs if pair.measure == key]
    others = [pair for pair in found.pairs if pair.measure != key]
    return render(
        "comparison.html",
        found=found,
        key=key,
        axis=_axis(found, key),
        extras=[measure for measure in found.measures if measure != key],
        delta_axis=axis_around(_reach(found), include_zero=True),
        tables=[("Primary measure", changes), ("Other measures", others)],
    )


def _reach(found: SystemComparison) -> list[float]:
    """The bounds of every change that is drawn."""
    changes = [*(pair.delta for pair in found.pairs), *(part.delta for part in found.slices)]
    return [bound for delta in changes if delta is not None for bound in delta.ci95]


def _axis(found: SystemComparison, measure: str) -> Axis:
    return axis_around([bound for system in found.systems.values() for bound in system.ci95[measure]])
