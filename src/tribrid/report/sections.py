"""The report page's parts that not every report has: the gate's guards, slices, corpora, scores, the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from tribrid.report.curves import Point, Series, curve_plot
from tribrid.report.plots import Axis, axis_around, dot, number, scale
from tribrid.report.words import kind_of, prose, told_change

Json = Mapping[str, Any]

_CURVE_PX = 190
_LOSS_PX = 110


def guards_section(report: Json) -> str:
    """What the gate checked beside the primary measure; empty where it was not told."""
    gate = report.get("gate") or {}
    guards = gate.get("guards") or []
    if not guards:
        return ""
    rows = "".join(_guard(guard) for guard in guards)
    effect = gate.get("minimum_effect")
    wanted = ""
    if effect is not None:
        wanted = f" The smallest gain in {escape(report['primary_measure'])} it promotes is {number(effect)}."
    return (
        '<section><h2>What the gate checked</h2><p class="lead">One that fails keeps what serves now; one that could '
        f"not be checked is neither for nor against.{wanted}</p><ul class='guards'>{rows}</ul></section>"
    )


def _guard(guard: Json) -> str:
    passed = guard["passed"]
    kind, mark = ("unknown", "–") if passed is None else ("gain", "✓") if passed else ("loss", "✗")
    said = {"unknown": "not checked", "gain": "passed", "loss": "failed"}[kind]
    return (
        f'<li><span class="verdict-mark {kind}" role="img" aria-label="{said}">{mark}</span>'
        f"<b>{escape(str(guard['name']).replace('_', ' '))}</b>"
        f'<span class="detail">{prose(str(guard.get("detail") or ""))}</span></li>'
    )


def slices_section(report: Json) -> str:
    """The change in each kind of query; empty without slices."""
    slices = report.get("slices") or []
    body = _parts_table(
        report, slices, "Kind", lambda entry: (str(entry["slice"]), str(entry["field"]).replace("_", " "))
    )
    if not body:
        return ""
    corrected = any((entry.get("delta") or {}).get("p_holm") is not None for entry in slices)
    how = (
        "Colours are corrected after Holm for looking at all of them; intervals are each part's own."
        if corrected
        else "Parts are small and many: of twenty, one moves by chance alone."
    )
    return (
        f'<section><h2>By kind of query</h2><p class="lead">{escape(report["primary_measure"])} in parts of the eval '
        f"dataset. {how}</p>{body}</section>"
    )


def corpora_section(report: Json) -> str:
    """The change in each corpus, and whether it is the same everywhere; empty for one corpus."""
    corpora = report.get("corpora") or []
    body = _parts_table(report, corpora, "Corpus", lambda entry: (str(entry["corpus_id"]), _about_corpus(entry)))
    if not body:
        return ""
    return (
        f'<section><h2>By corpus</h2><p class="lead">{escape(report["primary_measure"])} on each corpus’s own eval '
        f"dataset.</p>{_consistency(report.get('consistency') or {})}{body}</section>"
    )


def _about_corpus(entry: Json) -> str:
    """What of a corpus's row is not as in the others."""
    told = [f"against {entry['compared_with']}"] if entry.get("compared_with") else []
    if entry.get("transferred"):
        told.append("a model trained on another corpus")
    if entry.get("leaked"):
        told.append(f"{entry['leaked']:,} of its queries were trained on")
    return ", ".join(told)


def _consistency(found: Json) -> str:
    """The answer to “is the gain consistent across corpora?”, and why."""
    if not found:
        return ""
    reasons = "".join(f"<li>{prose(str(reason))}</li>" for reason in found.get("reasons", ()))
    answer = str(found["consistent"]).capitalize()
    return f'<p>Is the gain consistent across corpora? <b>{escape(answer)}.</b></p><ul class="reasons">{reasons}</ul>'


def _parts_table(report: Json, parts: Sequence[Json], head: str, named: Callable[[Json], tuple[str, str]]) -> str:
    """A row for each part: queries, before and after, and the change with its interval."""
    changes = [(part, _delta(report, part)) for part in parts]
    reach = [bound for _, delta in changes if delta for bound in delta["ci95"]]
    if not reach:
        return ""
    axis = axis_around(reach, include_zero=True)
    rows = "".join(_part_row(report, part, delta, axis, named(part)) for part, delta in changes)
    return (
        f'<table><thead><tr><th>{head}</th><th>Queries</th><th class="plot">{scale(axis, signs=True)}</th>'
        "<th>Before → after</th><th>Change and 95 % interval</th><th>Better / worse / same</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _part_row(report: Json, part: Json, delta: Json | None, axis: Axis, named: tuple[str, str]) -> str:
    label, what = named
    below = f'<span class="what">{escape(what)}</span>' if what else ""
    old, new = (_value(report, part.get(side)) for side in ("before", "after"))
    values = f"{'–' if old is None else number(old)} → <b>{'–' if new is None else number(new)}</b>"
    cells = '<td class="plot"></td><td colspan="3">not compared</td>'
    if delta:
        kind = kind_of(delta)
        drawn = dot(axis, delta["mean"], delta["ci95"], kind or "plain", zero=True)
        counts = " / ".join(str(delta.get(name, "–")) for name in ("wins", "losses", "ties"))
        cells = (
            f'<td class="plot">{drawn}</td><td>{values}</td><td class="{kind}">{told_change(delta)}</td>'
            f'<td data-label="better / worse / same">{counts}</td>'
        )
    return (
        f'<tr><th scope="row"><span class="label">{escape(label)}</span>{below}</th>'
        f'<td data-label="queries">{part["queries"]:,}</td>{cells}</tr>'
    )


def _value(report: Json, value: Any) -> float | None:
    """A part's mean of the primary measure, given as it is or among all measures."""
    found = value.get(report["primary_key"]) if isinstance(value, Mapping) else value
    return None if found is None else float(found)


def _delta(report: Json, part: Json) -> Json | None:
    found = part.get("delta")
    if found and "mean" not in found:
        found = found.get(report["primary_key"])
    return found or None


def calibration_section(report: Json) -> str:
    """What the served score means, and what a threshold on it would keep; empty where nobody looked."""
    found = report.get("calibration")
    if not found:
        return ""
    points = [
        Point(
            entry["mean_score"],
            entry["share"],
            entry["ci95"],
            f"score {number(entry['low'])} to {number(entry['high'])}: {entry['relevant']:,} of {entry['pairs']:,}",
        )
        for entry in reversed(found["bins"])
    ]
    chosen = found["chosen"]
    plot = curve_plot(
        [Series(points, "after")],
        "Share of relevant documents by score",
        height=_CURVE_PX,
        y=Axis(0.0, 1.0),
        marks=[chosen["threshold"]],
    )
    system = str(found.get("system") or "").replace("_", " ")
    notes = "".join(f"<li>{prose(note)}</li>" for note in found["notes"])
    return (
        f'<section><h2>What a score means</h2><p class="lead">The share of relevant documents among all that '
        f"{escape(system)} gave about this score, with its 95 % interval: from which score on is a result worth "
        'showing?</p><div class="legend"><span class="after-swatch">share relevant</span>'
        f'<span class="whisker">95 % interval</span><span class="dashed">threshold {number(chosen["threshold"])}</span>'
        f"</div><figure>{plot}</figure>{_order(found)}{_thresholds(found)}{_bands(found)}"
        f"{f'<ul class=plain-notes>{notes}</ul>' if notes else ''}</section>"
    )


def _order(found: Json) -> str:
    within, across = found["order"]["within_queries"], found["order"]["across_queries"]
    if within is None or across is None:
        return ""
    return (
        "<p class='spaced'>Of a relevant document and another, the relevant one has the higher score in "
        f"<b>{within:.1%}</b> of the pairs of one query, and in <b>{across:.1%}</b> of those of any two queries.</p>"
    )


def _thresholds(found: Json) -> str:
    chosen = found["chosen"]
    how = "as set" if chosen["by"] == "setting" else "best F1"
    how += ", measured on queries that did not choose it" if chosen["held_out"] else ""
    rows = _threshold_row(chosen, how) + "".join(_threshold_row(entry, "") for entry in found["thresholds"])
    return (
        "<h3>Thresholds</h3><table><thead><tr><th>Keep from score</th><th>Precision</th><th>Recall</th>"
        f"<th>Kept a query</th><th>Queries left with nothing</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _threshold_row(entry: Json, what: str) -> str:
    below = f'<span class="what">{escape(what)}</span>' if what else ""
    name = f'<b class="label">{number(entry["threshold"])}</b>' if what else number(entry["threshold"])
    return (
        f'<tr><th scope="row">{name}{below}</th>'
        f'<td data-label="precision">{_shared(entry["precision"], entry["precision_ci95"])}</td>'
        f'<td data-label="recall">{_shared(entry["recall"], entry["recall_ci95"])}</td>'
        f'<td data-label="kept a query">{entry["kept_per_query"]:,.1f}</td>'
        f'<td data-label="queries left with nothing">{entry["queries_with_none"]:,}</td></tr>'
    )


def _bands(found: Json) -> str:
    rows = "".join(
        f'<tr><th scope="row">{number(entry["low"])} to {number(entry["high"])}</th>'
        f'<td data-label="share relevant">{_shared(entry["share"], entry["ci95"])}</td>'
        f'<td data-label="relevant">{entry["relevant"]:,}</td><td data-label="judged">{entry["judged"]:,}</td>'
        f'<td data-label="pairs">{entry["pairs"]:,}</td>'
        f'<td data-label="relevant of judged">{_percent(entry["share_of_judged"])}</td></tr>'
        for entry in found["bins"]
    )
    return (
        "<h3>Bands of the score</h3><table><thead><tr><th>Score</th><th>Share relevant</th><th>Relevant</th>"
        f"<th>Judged</th><th>Pairs</th><th>Relevant of judged</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _shared(share: float | None, interval: Sequence[float] | None) -> str:
    if share is None or interval is None:
        return "–"
    return f"<b>{_percent(share)}</b> [{_percent(interval[0])}, {_percent(interval[1])}]"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}".replace("%", " %")


def learning_section(report: Json) -> str:
    """How the training went on held-out queries; empty where it told nothing of that."""
    points = report.get("learning_curve") or []
    if len(points) < 2:
        return ""
    kinds = (("dev_ndcg@10", "before", "the cross-encoder alone"), ("dev_served_ndcg@10", "after", "with the blend"))
    lines = [(Series(_measured(points, name), kind), said) for name, kind, said in kinds]
    lines = [(line, said) for line, said in lines if len(line.points) > 1]
    if not lines:
        return ""
    legend = "".join(f'<span class="{line.kind}-swatch">{said}</span>' for line, said in lines)
    plot = curve_plot([line for line, _ in lines], "nDCG@10 on held-out queries by step", height=_CURVE_PX)
    losses = _measured(points, "loss")
    loss = ""
    if len(losses) > 1:
        drawn = curve_plot([Series(losses, "before")], "Loss by step", height=_LOSS_PX)
        loss = f"<h3>Training loss</h3><figure>{drawn}</figure>"
    return (
        '<section><h2>How the training went</h2><p class="lead">nDCG@10 on queries held out of the training data, by '
        "step. They are not the eval dataset's, and only the head of each list is reranked there, so read the shape, "
        f'not the level.</p><div class="legend">{legend}</div><figure>{plot}</figure>{loss}</section>'
    )


def _measured(points: Sequence[Json], name: str) -> list[Point]:
    return [
        Point(point["step"], point[name], title=f"step {point['step']}: {number(point[name])}")
        for point in points
        if point.get(name) is not None
    ]


def looks(report: Json) -> Iterator[tuple[str, Any]]:
    """How often this eval dataset was measured on, for the page's conditions."""
    found = report.get("looks")
    if not found:
        return
    yield "measured on", f"{found['count']:,} times" if found["count"] != 1 else "once"
    if found.get("models"):
        yield "models measured", f"{found['models']:,}"
    if found.get("false_promotion_risk") is not None:
        yield "risk that one passes by luck", f"{found['false_promotion_risk']:.0%}".replace("%", " %")
