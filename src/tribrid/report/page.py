"""The evaluation report as one HTML page: no script, no request, every text from outside escaped.

The page answers in this order: may it go live and why, how much changed, on which queries, against what else it could
have been, what one can see in single rankings, and under what conditions all that was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from types import MappingProxyType
from typing import Any

from tribrid.report.plots import Axis, axis_around, bars, dot, number, scale
from tribrid.report.queries import Documents, changes_section, examples_section
from tribrid.report.sections import (
    calibration_section,
    corpora_section,
    guards_section,
    learning_section,
    looks,
    slices_section,
)
from tribrid.report.stylesheet import STYLESHEET
from tribrid.report.words import (
    definition_list,
    flat,
    kind_of,
    milliseconds,
    p_of,
    probability,
    prose,
    shortened,
    told_change,
)

Json = Mapping[str, Any]
NO_DOCUMENTS: Documents = MappingProxyType({})

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""

_WHAT = {
    "sparse": "BM25 alone",
    "dense": "Vectors alone",
    "retrieval": "The legs fused, nothing reranked",
    "given": "The order that came with the documents to rerank; of other queries the fused order",
    "base": "The model training started from",
    "cross_encoder": "The cross-encoder's score alone",
    "blend_without_cross_encoder": "The blend without the cross-encoder",
    "champion": "What serves now",
    "challenger": "The model just trained",
    "oracle": "The best order of these candidates",
}
"""Systems in the order of the loop. Others stand before the champion, under their own names."""

_DEFINITIONS = (
    ("nDCG@10", "Gain of the top 10, discounted by the logarithm of the rank, over that of the best possible top 10."),
    ("RR@10", "1 over the rank of the first relevant document; 0 where none is in the top 10."),
    ("R@k", "Share of the relevant documents that stand in the top k."),
    ("AP", "Precision at the rank of each relevant document, averaged."),
    ("Judged@10", "Share of the top 10 that anyone has judged. Unjudged documents count as not relevant."),
)


def render_html(report: Json, rows: Sequence[Json], documents: Documents = NO_DOCUMENTS) -> str:
    """The page for a report and its per-query rows, as `report.build_report` makes them.

    Args:
        report: the summary.
        rows: one for each evaluable query, in any order.
        documents: those that `html_queries.named_documents` names, to quote; of others the page shows the id.
    """
    corpus = str(report.get("corpus_id") or "Evaluation")
    sections = [
        _header(report, corpus),
        _verdict(report),
        guards_section(report),
        _before_after(report),
        changes_section(report, rows),
        slices_section(report),
        corpora_section(report),
        _systems(report),
        examples_section(report, rows, documents),
        calibration_section(report),
        learning_section(report),
        _conditions(report),
        _footer(report),
    ]
    title = f"{corpus}: {report['verdict']['decision']} – Tribrid evaluation"
    return _PAGE.format(title=escape(title), style=STYLESHEET, body="\n".join(part for part in sections if part))


def _header(report: Json, corpus: str) -> str:
    dataset, compared = report["eval_dataset"], report["compared"]
    counted = dataset["queries"] - dataset["excluded"]
    after, before = compared["after"], compared["before"]
    parts = [
        f"<b>{escape(after)}</b> against <b>{escape(before)}</b>" if after else f"<b>{escape(before)}</b> alone",
        f"{counted:,} queries",
    ]
    if "created_us" in report:
        made = datetime.fromtimestamp(report["created_us"] / 1e6, tz=UTC)
        parts.append(f"{made.day} {made:%B %Y, %H:%M} UTC")
    if report.get("evaluation_id"):
        parts.append(f"evaluation <code>{escape(str(report['evaluation_id']))}</code>")
    return (
        f'<header><div class="eyebrow">Tribrid evaluation</div><h1>{escape(corpus)}</h1>'
        f'<div class="muted">{" · ".join(parts)}</div></header>'
    )


def _verdict(report: Json) -> str:
    verdict, key = report["verdict"], report["primary_key"]
    promote = verdict["decision"] == "promote"
    badge = "Promote" if promote else "Keep what serves now"
    reasons = "".join(f"<li>{prose(reason)}</li>" for reason in verdict["reasons"])
    before, after, delta = report["before"], report["after"], report["delta"]
    figure = change = ""
    if before:
        old, new = number(before[key]), number(after[key]) if after else None
        figure = f'<span class="old">{old} →</span> {new}' if new else old
    if delta:
        kind = kind_of(delta[key])
        change = f'<div class="change {kind}">{told_change(delta[key])}</div>'
    return (
        f'<section class="verdict"><div><span class="badge {verdict["decision"]}">{badge}</span>'
        f"<ul>{reasons}</ul></div>"
        f'<div class="headline"><div class="muted">{escape(report["primary_measure"])}</div>'
        f'<div class="figure">{figure}</div>{change}</div></section>{_notes(report)}'
    )


def _notes(report: Json) -> str:
    if not report["notes"]:
        return ""
    items = "".join(f"<li>{prose(note)}</li>" for note in report["notes"])
    return f'<section class="notes"><h2>Worth knowing</h2><ul>{items}</ul></section>'


def _before_after(report: Json) -> str:
    before, after = report["before"], report["after"]
    compared, systems = report["compared"], report["systems"]
    if not before:
        return ""
    legend = f'<span class="before-swatch">{"before: " if after else ""}{escape(compared["before"])}</span>'
    title, lead = "Measures", "Mean over the queries, with the 95 % interval of each mean."
    if after:
        legend += f'<span class="after-swatch">after: {escape(compared["after"])}</span>'
        title = "Before and after"
        lead += (
            " Both sides are the same queries, so the intervals may overlap although the change is certain: "
            "the change has its own interval below."
        )
    lines = []
    for key, name in _primary_first(report):
        old = (before[key], systems[compared["before"]]["ci95"][key])
        new = (after[key], systems[compared["after"]]["ci95"][key]) if after else None
        value = f"{number(before[key])} → <b>{number(after[key])}</b>" if after else number(before[key])
        lines.append(
            f'<div class="row"><div class="name{_primary(report, key)}">{escape(name)}</div>{bars(old, new)}'
            f'<div class="value">{value}</div></div>'
        )
    lines.append(f'<div class="row axis-row"><div></div>{scale(Axis(0, 1))}<div></div></div>')
    return (
        f'<section><h2>{title}</h2><p class="lead">{lead}</p>'
        f'<figure><div class="legend">{legend}<span class="whisker">95 % interval</span></div>'
        f'<div class="bars">{"".join(lines)}</div></figure>{_delta_table(report)}</section>'
    )


def _delta_table(report: Json) -> str:
    delta = report["delta"]
    if not delta:
        return ""
    reach = [bound for entry in delta.values() for bound in entry["ci95"]]
    axis = axis_around(reach, include_zero=True)
    rows = []
    for key, name in _primary_first(report):
        entry = delta[key]
        kind = "plain" if name.startswith("Judged") else kind_of(entry) or "plain"
        rows.append(
            f'<tr><th scope="row"><span class="label{_primary(report, key)}">{escape(name)}</span>'
            f'</th><td class="plot">{dot(axis, entry["mean"], entry["ci95"], kind, zero=True)}</td>'
            f"<td>{told_change(entry)}</td>"
            f'<td data-label="{_p_name(report)}">{probability(p_of(entry))}</td>'
            f'<td data-label="better / worse / same">{entry["wins"]} / {entry["losses"]} / {entry["ties"]}</td></tr>'
        )
    return (
        "<h3>Change, after − before</h3><table><thead><tr><th>Measure</th>"
        f'<th class="plot">{scale(axis, signs=True)}</th><th>Mean and 95 % interval</th><th>{_p_name(report)}</th>'
        f"<th>Better / worse / same</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _systems(report: Json) -> str:
    """Every system as a row: its primary measure with interval, the other measures, and after minus it."""
    systems, key = report["systems"], report["primary_key"]
    present = [name for name in _ordered(systems) if systems[name] is not None]
    axis = axis_around([bound for name in present for bound in systems[name]["ci95"][key]])
    known = ("ndcg@10", "mrr@10", "recall@10", "map", *report["measures"])
    extras = [other for other in dict.fromkeys(known) if other != key and other in report["measures"]][:3]
    heads = "".join(f"<th>{escape(report['measures'][extra])}</th>" for extra in extras)
    rows = "".join(_system_row(report, name, axis, extras) for name in present)
    after = report["compared"]["after"]
    against = f"<th>{escape(after)} − it</th>" if after and report["after"] else ""
    return (
        '<section><h2>Every system on the same candidates</h2><p class="lead">'
        f"Each ordered the same frozen candidates, at most {report['candidates']['depth']} a query; "
        "the single legs searched on their own.</p>"
        f'<table><thead><tr><th>System</th><th class="plot">{scale(axis)}</th>'
        f"<th>{escape(report['primary_measure'])}</th>{heads}{against}</tr></thead><tbody>{rows}</tbody></table>"
        f"{_failed(report)}</section>"
    )


def _system_row(report: Json, name: str, axis: Axis, extras: Sequence[str]) -> str:
    row, key, compared = report["systems"][name], report["primary_key"], report["compared"]
    role = next((side for side in ("before", "after") if compared[side] == name), "")
    kind = role or ("oracle" if name == "oracle" else "plain")
    told = _WHAT.get(name) or _outside(report.get("outside", {}).get(name))
    what = f'<span class="what">{escape(told)}</span>' if told else ""
    cells = "".join(
        f'<td data-label="{escape(report["measures"][extra])}">{number(row[extra])}</td>' for extra in extras
    )
    if compared["after"] and report["after"]:
        delta = row["after_minus"]
        # No reranker can beat the oracle: its row takes no colour.
        shown = (
            f'<span class="{"" if name == "oracle" else kind_of(delta)}">{told_change(delta)}</span>' if delta else ""
        )
        cells += f'<td data-label="{escape(compared["after"])} − it">{shown}</td>' if shown else "<td></td>"
    return (
        f'<tr class="is-{role or "other"}"><th scope="row"><span class="label">{escape(name.replace("_", " "))}</span>'
        f'{what}</th><td class="plot">{dot(axis, row[key], row["ci95"][key], kind)}</td>'
        f'<td data-label="{escape(report["primary_measure"])}"><b>{number(row[key])}</b></td>{cells}</tr>'
    )


def _outside(facts: Json | None) -> str:
    """What is known of a system that the caller added."""
    if not facts:
        return ""
    if facts.get("own_candidates"):
        return f"A run from elsewhere, with candidates of its own ({facts.get('queries_missing', 0):,} queries missing)"
    return f"Added to this evaluation: {facts.get('model_id') or facts.get('kind') or 'another engine'}"


def _ordered(systems: Json) -> list[str]:
    known = list(_WHAT)
    place = known.index("champion") - 0.5
    return sorted(systems, key=lambda name: (known.index(name) if name in known else place, name))


def _failed(report: Json) -> str:
    return "".join(
        f'<p class="warn"><b>{escape(name)}</b> failed: {escape(problem)}</p>'
        for name, problem in report["failed"].items()
    )


def _conditions(report: Json) -> str:
    dataset, candidates, settings = report["eval_dataset"], report["candidates"], report["settings"]
    latency, leakage, fallbacks = report["latency_ms"], report["leakage"], report["fallbacks"]
    blocks = [
        (
            "Latency of reranking",
            [("median", milliseconds(latency["p50"])), ("95th percentile", milliseconds(latency["p95"]))],
        ),
        (
            "Eval dataset",
            [
                ("version", dataset["version"]),
                ("queries", f"{dataset['queries']:,}"),
                ("without a positive, excluded", f"{dataset['excluded']:,}"),
                ("judgments", f"{dataset['judgments']:,}"),
                ("sha256", shortened(dataset["sha256"])),
                *looks(report),
            ],
        ),
        (
            "Candidates",
            [
                ("depth", candidates["depth"]),
                ("recall ceiling", number(candidates["recall_ceiling"])),
                ("sha256", shortened(candidates["sha256"])),
            ],
        ),
        ("Cost", list(flat(report["cost"])) or [("", "not recorded")]),
        (
            "Safety",
            [
                ("fallbacks", fallbacks["count"]),
                ("eval queries trained on", len(leakage["overlapping"]) if "overlapping" in leakage else "not checked"),
                ("training queries checked", f"{leakage['checked']:,}" if "checked" in leakage else "–"),
            ],
        ),
        (
            "Statistics",
            [
                ("resamples", f"{settings['resamples']:,}"),
                ("gate's interval", f"{settings['confidence'] * 100:g} %"),
                ("seed", settings["seed"]),
            ],
        ),
    ]
    body = "".join(f"<div><h3>{escape(title)}</h3>{definition_list(entries)}</div>" for title, entries in blocks)
    return f'<section><h2>Conditions</h2><div class="facts" style="margin-top:16px">{body}</div></section>'


def _footer(report: Json) -> str:
    definitions = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in _DEFINITIONS)
    return (
        f"<footer><h2>How to read this</h2><p>The verdict rests on {escape(report['primary_measure'])}, fixed with the "
        f"eval dataset before any model ran. {escape(report['primary_reason'])} Intervals are bootstrap (BCa) "
        "intervals over queries; p-values are those of the two-sided paired randomisation test, "
        f"{_corrected(report)}. A query the run missed counts 0; order is by score, ties by document id, "
        f"descending, as trec_eval has it.</p><dl>{definitions}</dl></footer>"
    )


def _holm(report: Json) -> bool:
    """Whether the p-values are corrected for looking at several measures."""
    return any(entry.get("p_holm") is not None for entry in (report["delta"] or {}).values())


def _p_name(report: Json) -> str:
    return "p (Holm)" if _holm(report) else "p"


def _corrected(report: Json) -> str:
    if _holm(report):
        return "corrected after Holm for looking at several measures"
    return "and are not corrected for looking at several measures"


def _primary_first(report: Json) -> list[tuple[str, str]]:
    return sorted(report["measures"].items(), key=lambda item: item[0] != report["primary_key"])


def _primary(report: Json, key: str) -> str:
    return " primary-name" if key == report["primary_key"] else ""
