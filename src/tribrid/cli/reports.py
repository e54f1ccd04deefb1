"""An evaluation report as tables: the verdict first, then how much changed, then against what else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tribrid.cli.terminal import facts, indented, one_line, plain, seconds, table

Json = Mapping[str, Any]

_BADGES = {"promote": ("PROMOTE", "bold green"), "keep": ("KEEP what serves now", "bold yellow")}
# As everywhere in the field: less than one in twenty, and an interval without 0.
_CERTAIN = 0.05


def report_view(report: Json) -> RenderableType:
    """The whole report for a terminal."""
    parts: list[RenderableType] = [verdict_view(report), Text()]
    if report["before"]:
        parts += [before_after(report), Text()]
    parts += [systems(report), *_parts(report), *_guards(report), *_notes(report), Text(), conditions(report)]
    return Group(*parts)


def verdict_view(report: Json) -> RenderableType:
    """The decision and its reasons."""
    words, style = _BADGES[report["verdict"]["decision"]]
    reasons = [indented(reason) for reason in report["verdict"]["reasons"]]
    if report.get("promoted"):
        # Reports made before it was told are of mode learning or of no promotion.
        mode = report.get("mode", "learning")
        serves = "It serves from the next search on."
        reasons.append(indented(serves if mode == "learning" else f"It is the champion; searches use mode {mode}."))
    return Group(Text(words, style=style), *reasons)


def before_after(report: Json) -> Table:
    """Each measure before and after, the change with its interval, and on how many queries it came about."""
    before, after, delta = report["before"], report["after"], report["delta"]
    compared = report["compared"]
    if not after or not delta:
        return table(
            ["Measure", ("Mean", "right")], [[_label(report, key), _score(before[key])] for key in _keys(report)]
        )
    made = table(
        [
            "Measure",
            (f"Before: {compared['before']}", "right"),
            (f"After: {compared['after']}", "right"),
            ("Change", "right"),
            ("95 % interval", "right"),
            (_p_name(delta), "right"),
            ("Better/worse/same", "right"),
        ],
        [],
    )
    for key in _keys(report):
        entry = delta[key]
        low, high = entry["ci95"]
        made.add_row(
            _label(report, key),
            Text(_score(before[key])),
            Text(_score(after[key]), style="bold"),
            Text(f"{entry['mean']:+.3f}", style=change_style(entry)),
            Text(f"[{low:+.3f}, {high:+.3f}]"),
            Text(probability(entry)),
            Text(f"{entry['wins']}/{entry['losses']}/{entry['ties']}"),
        )
    return made


def systems(report: Json) -> Table:
    """Every system on the same candidates in the primary measure, and after minus it."""
    key = report["primary_key"]
    after = report["compared"]["after"]
    ranked = sorted(
        ((name, row) for name, row in report["systems"].items() if row is not None),
        key=lambda item: -item[1][key],
    )
    made = table(
        [
            "System",
            (report["primary_measure"], "right"),
            ("95 % interval", "right"),
            (f"{after or 'after'} − it", "right"),
        ],
        [],
    )
    for name, row in ranked:
        low, high = row["ci95"][key]
        minus = row["after_minus"]
        role = {report["compared"]["before"]: " (before)", after: " (after)"}.get(name, "")
        made.add_row(
            Text(plain(name.replace("_", " ")) + role, style="bold" if role else ""),
            Text(_score(row[key])),
            Text(f"[{low:.3f}, {high:.3f}]"),
            Text(f"{minus['mean']:+.3f}" if minus else ""),
        )
    return made


def conditions(report: Json) -> Table:
    """Under what conditions all that was measured."""
    dataset, candidates, latency = report["eval_dataset"], report["candidates"], report["latency_ms"]
    timed = f"{latency['p50']:.0f} ms median, {latency['p95']:.0f} ms p95" if latency["p50"] is not None else None
    return facts(
        {
            "Eval dataset": f"{dataset['queries']:,} queries, {dataset['judgments']:,} judgments, "
            f"{dataset['excluded']:,} excluded, {dataset['sha256'][:12]}",
            "Candidates": f"top {candidates['depth']}, recall ceiling {candidates['recall_ceiling']:.3f}",
            "Reranking": timed,
            "Threshold": _threshold(report),
            "Fallbacks": report["fallbacks"]["count"] or None,
            "Cost": cost_line(report["cost"]),
            "Failed": ", ".join(f"{name}: {why}" for name, why in report["failed"].items()) or None,
            "Evaluation": report.get("evaluation_id"),
        }
    )


def cost_line(cost: Json) -> str:
    """A cost record in words, empty for none."""
    usd, compute = cost.get("usd"), cost.get("compute_s")
    parts = ["price unknown" if usd is None and "usd" in cost else f"${usd:,.4f}" if usd else "$0" if cost else ""]
    if isinstance(compute, (int, float)):
        parts.append(f"{seconds(compute)} of compute here")
    return ", ".join(part for part in parts if part)


def _threshold(report: Json) -> str | None:
    """What the chosen threshold on the served score would keep."""
    chosen = (report.get("calibration") or {}).get("chosen")
    if not chosen or chosen["precision"] is None:
        return None
    return (
        f"score {chosen['threshold']:.3f} ({chosen['by']}): precision {chosen['precision']:.3f}, recall "
        f"{chosen['recall']:.3f}, {chosen['kept_per_query']:.1f} kept a query"
    )


def _parts(report: Json) -> Iterator[RenderableType]:
    """The change in each corpus and in each kind of query, where there are any."""
    key = report["primary_key"]
    corpora = [(str(part["corpus_id"]), part) for part in report.get("corpora") or ()]
    slices = [(f"{part['field']}: {part['slice']}", part) for part in report.get("slices") or ()]
    for head, parts in (("Corpus", corpora), ("Queries", slices)):
        rows = []
        for name, part in parts:
            delta = part.get("delta") or {}
            delta = delta if "mean" in delta else delta.get(key)
            if delta:
                low, high = delta["ci95"]
                mean = Text(f"{delta['mean']:+.3f}", style=change_style(delta))
                rows.append([one_line(name, 60), f"{part['queries']:,}", mean, f"[{low:+.3f}, {high:+.3f}]"])
        if rows:
            yield Text()
            if head == "Corpus" and report.get("consistency"):
                yield f"Consistent across corpora: {plain(report['consistency']['consistent'])}."
            yield table([head, ("Queries", "right"), ("Change", "right"), ("95 % interval", "right")], rows)


def _guards(report: Json) -> Iterator[RenderableType]:
    """What the gate checked beside the primary measure, where that was told."""
    guards = (report.get("gate") or {}).get("guards") or ()
    if guards:
        yield Text()
    for guard in guards:
        passed = guard["passed"]
        mark, style = ("–", "dim") if passed is None else ("✓", "green") if passed else ("✗", "red")
        name = plain(str(guard["name"]).replace("_", " "))
        yield Text.assemble((mark, style), f" {name}: ", (plain(guard.get("detail") or ""), "dim"))


def _notes(report: Json) -> Iterator[RenderableType]:
    notes: Sequence[str] = report["notes"]
    if notes:
        yield Text()
        yield from (indented(f"Note: {note}", "dim") for note in notes)


def _keys(report: Json) -> list[str]:
    """The measures, the one that decides first."""
    return sorted(report["measures"], key=lambda key: key != report["primary_key"])


def _label(report: Json, key: str) -> Text:
    return Text(report["measures"][key], style="bold" if key == report["primary_key"] else "")


def _score(value: float) -> str:
    return f"{value:.3f}"


def probability(entry: Json) -> str:
    """A change's p-value."""
    value = _p(entry)
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _p(entry: Json) -> float:
    """Corrected for looking at several measures, where that was done."""
    corrected = entry.get("p_holm")
    return float(entry["p_value"] if corrected is None else corrected)


def _p_name(delta: Json) -> str:
    return "p (Holm)" if any(entry.get("p_holm") is not None for entry in delta.values()) else "p"


def change_style(entry: Json) -> str:
    """Green or red where interval and test both tell the change from chance, else plain."""
    low, high = entry["ci95"]
    if _p(entry) > _CERTAIN or low <= 0 <= high:
        return ""
    return "green" if low > 0 else "red"
