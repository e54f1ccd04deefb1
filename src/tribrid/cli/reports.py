"""An evaluation report as tables: the verdict first, then how much changed, then against what else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tribrid.cli.terminal import facts, indented, one_line, plain, seconds, table

if TYPE_CHECKING:
    from tribrid.answers.changes import Delta, Part
    from tribrid.answers.costs import Cost
    from tribrid.answers.report import EvaluationReport

_BADGES = {"promote": ("PROMOTE", "bold green"), "keep": ("KEEP what serves now", "bold yellow")}
_STYLES = {"gain": "green", "loss": "red", None: ""}
"""Of a change, as chance does or does not explain it."""


def report_view(report: EvaluationReport) -> RenderableType:
    """The whole report for a terminal."""
    parts: list[RenderableType] = [verdict_view(report), Text()]
    if report.before:
        parts += [before_after(report), Text()]
    parts += [systems(report), *_parts(report), *_guards(report), *_notes(report), Text(), conditions(report)]
    return Group(*parts)


def verdict_view(report: EvaluationReport) -> RenderableType:
    """The decision and its reasons."""
    words, style = _BADGES[report.verdict.decision]
    words += ", by labels from logs" if report.eval_dataset.log else ""
    reasons = [indented(reason) for reason in report.verdict.reasons]
    if report.promoted:
        serves = "It serves from the next search on."
        other = f"It is the champion; searches use mode {report.mode}."
        reasons.append(indented(serves if report.mode == "learning" else other))
    return Group(Text(words, style=style), *reasons)


def before_after(report: EvaluationReport) -> Table:
    """Each measure before and after, the change with its interval, and on how many queries it came about."""
    before, after, delta = report.before or {}, report.after, report.delta
    compared = report.compared
    if not after or not delta:
        return table(
            ["Measure", ("Mean", "right")],
            [[_label(report, key), _score(before[key])] for key in report.primary_first],
        )
    made = table(
        [
            "Measure",
            (compared.heading, "right"),
            (f"After: {compared.after}", "right"),
            ("Change", "right"),
            ("95 % interval", "right"),
            ("p (Holm)" if report.corrected else "p", "right"),
            ("Better/worse/same", "right"),
        ],
        [],
    )
    for key in report.primary_first:
        entry = delta[key]
        low, high = entry.ci95
        made.add_row(
            _label(report, key),
            Text(_score(before[key])),
            Text(_score(after[key]), style="bold"),
            Text(f"{entry.mean:+.3f}", style=change_style(entry)),
            Text(f"[{low:+.3f}, {high:+.3f}]"),
            Text(probability(entry)),
            Text(f"{entry.wins}/{entry.losses}/{entry.ties}"),
        )
    return made


def systems(report: EvaluationReport) -> Table:
    """Every system on the same candidates in the primary measure, and after minus it."""
    key, after = report.primary_measure, report.compared.after
    ranked = sorted(
        ((name, row) for name, row in report.systems.items() if row is not None),
        key=lambda item: -item[1].means[key],
    )
    made = table(
        [
            "System",
            (report.primary_measure, "right"),
            ("95 % interval", "right"),
            (f"{after or 'after'} − it", "right"),
        ],
        [],
    )
    for name, row in ranked:
        low, high = row.ci95[key]
        minus = row.after_minus
        role = {report.compared.before: " (before)", after: " (after)"}.get(name, "")
        made.add_row(
            Text(plain(name.replace("_", " ")) + role, style="bold" if role else ""),
            Text(_score(row.means[key])),
            Text(f"[{low:.3f}, {high:.3f}]"),
            Text(f"{minus.mean:+.3f}" if minus else ""),
        )
    return made


def conditions(report: EvaluationReport) -> Table:
    """Under what conditions all that was measured."""
    dataset, candidates = report.eval_dataset, report.candidates
    p50, p95 = report.latency_ms.p50, report.latency_ms.p95
    timed = f"{p50:.0f} ms median, {p95:.0f} ms p95" if p50 is not None and p95 is not None else None
    return facts(
        {
            "Eval dataset": f"{dataset.queries:,} queries, {dataset.judgments:,} {_labels(report)}, "
            f"{dataset.excluded:,} excluded, {dataset.sha256[:12]}",
            "Candidates": f"top {candidates.depth}, recall ceiling {candidates.recall_ceiling:.3f}",
            "Reranking": timed,
            "Threshold": _threshold(report),
            "No answer": report.answerable.told if report.answerable else None,
            "Scores": report.calibration.order.told if report.calibration else None,
            "Fallbacks": report.fallbacks.count or None,
            "Cost": cost_line(report.cost),
            "Failed": ", ".join(f"{name}: {why}" for name, why in report.failed.items()) or None,
            "Evaluation": report.evaluation_id,
        }
    )


def _labels(report: EvaluationReport) -> str:
    return "labels from logs" if report.eval_dataset.log else "judgments"


def cost_line(cost: Cost) -> str:
    """A cost in words, empty for none."""
    if not cost.model_fields_set:
        return ""
    price = "price unknown" if cost.usd is None else f"${cost.usd:,.4f}" if cost.usd else "$0"
    return price if cost.compute_s is None else f"{price}, {seconds(cost.compute_s)} of compute here"


def _threshold(report: EvaluationReport) -> str | None:
    """What the chosen threshold on the served score would keep."""
    chosen = report.calibration.chosen if report.calibration else None
    if chosen is None or chosen.precision is None or chosen.recall is None:
        return None
    return (
        f"score {chosen.threshold:.3f} ({chosen.by}): precision {chosen.precision:.3f}, recall "
        f"{chosen.recall:.3f}, {chosen.kept_per_query:.1f} kept a query"
    )


def _parts(report: EvaluationReport) -> Iterator[RenderableType]:
    """The change in each corpus and in each kind of query, where there are any."""
    corpora: list[tuple[str, Part]] = [(part.corpus_id, part) for part in report.corpora]
    slices = [(f"{what}: {part.slice}", one) for part in report.slices for what, one in part.shown]
    for head, parts in (("Corpus", corpora), ("Queries", slices)):
        rows = []
        for name, part in parts:
            if part.delta:
                low, high = part.delta.ci95
                mean = Text(f"{part.delta.mean:+.3f}", style=change_style(part.delta))
                rows.append([one_line(name, 60), f"{part.queries:,}", mean, f"[{low:+.3f}, {high:+.3f}]"])
        if rows:
            yield Text()
            if head == "Corpus" and report.consistency:
                yield f"Consistent across corpora: {plain(report.consistency.consistent)}."
            yield table([head, ("Queries", "right"), ("Change", "right"), ("95 % interval", "right")], rows)


def _guards(report: EvaluationReport) -> Iterator[RenderableType]:
    """What the gate checked beside the primary measure, where that was told."""
    guards = report.gate.guards if report.gate else ()
    if guards:
        yield Text()
    for guard in guards:
        mark, style = ("–", "dim") if guard.passed is None else ("✓", "green") if guard.passed else ("✗", "red")
        yield Text.assemble((mark, style), f" {plain(guard.name.replace('_', ' '))}: ", (plain(guard.detail), "dim"))


def _notes(report: EvaluationReport) -> Iterator[RenderableType]:
    if report.notes:
        yield Text()
        yield from (indented(f"Note: {note}", "dim") for note in report.notes)


def _label(report: EvaluationReport, key: str) -> Text:
    return Text(key, style="bold" if key == report.primary_measure else "")


def _score(value: float) -> str:
    return f"{value:.3f}"


def probability(entry: Delta) -> str:
    """A change's p-value."""
    return "<0.001" if entry.p < 0.001 else f"{entry.p:.3f}"


def change_style(entry: Delta) -> str:
    """Green or red where interval and test both tell the change from chance, else plain."""
    return _STYLES[entry.certain]
