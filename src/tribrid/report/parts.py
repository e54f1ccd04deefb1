"""What the report page shows where a report has it: slices, corpora, scores, the training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tribrid.answers.changes import CorpusPart, Part
from tribrid.answers.report import EvaluationReport
from tribrid.report.plots import Axis, Curve, Point, Series, axis_around, curve
from tribrid.report.words import number, spaced


class Parts(NamedTuple):
    """A table with a row for each part: its name, what is known of it, and its change."""

    rows: Sequence[tuple[str, str, Part]]
    axis: Axis
    corrected: bool


def slices(report: EvaluationReport) -> Parts | None:
    """The change in each kind of query; None without slices."""
    return _parts([(part.slice, spaced(what), one) for part in report.slices for what, one in part.shown])


def corpora(report: EvaluationReport) -> Parts | None:
    """The change in each corpus; None for one corpus."""
    return _parts([(part.corpus_id, _about(part), part) for part in report.corpora])


def _parts(rows: Sequence[tuple[str, str, Part]]) -> Parts | None:
    deltas = [part.delta for _, _, part in rows if part.delta]
    reach = [bound for delta in deltas for bound in delta.ci95]
    corrected = any(delta.p_holm is not None for delta in deltas)
    return Parts(rows, axis_around(reach, include_zero=True), corrected) if reach else None


def _about(part: CorpusPart) -> str:
    """What of a corpus's row is not as in the others."""
    told = [f"against {part.compared_with}"] if part.compared_with else []
    if part.transferred:
        told.append("a model trained on another corpus")
    if part.leaked:
        told.append(f"{part.leaked:,} of its queries were trained on")
    return ", ".join(told)


def score_curve(report: EvaluationReport) -> Curve | None:
    """The share of relevant documents by score; None where nobody looked."""
    found = report.calibration
    if found is None:
        return None
    points = [
        Point(
            band.mean_score,
            band.share or 0.0,
            band.ci95,
            f"score {number(band.low)} to {number(band.high)}: {band.relevant:,} of {band.pairs:,}",
        )
        for band in reversed(found.bins)
    ]
    return curve([Series(points, "after")], y=Axis(0.0, 1.0), marks=[found.chosen.threshold])


def learning(report: EvaluationReport) -> Curve | None:
    """How the training went on held-out queries; None where it told nothing of that."""
    points = report.learning_curve
    lines = [
        Series(_measured((p.step, p.dev_ndcg) for p in points), "before", "the cross-encoder alone"),
        Series(_measured((p.step, p.dev_served_ndcg) for p in points), "after", "with the blend"),
    ]
    lines = [line for line in lines if len(line.points) > 1]
    return curve(lines) if lines else None


def loss(report: EvaluationReport) -> Curve | None:
    """The training loss by step."""
    points = _measured((point.step, point.loss) for point in report.learning_curve)
    return curve([Series(points, "before")]) if len(points) > 1 else None


def _measured(values: Iterable[tuple[int, float | None]]) -> list[Point]:
    return [Point(step, value, title=f"step {step}: {number(value)}") for step, value in values if value is not None]
