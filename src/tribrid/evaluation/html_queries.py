"""The report page's per-query part: the sorted change plot, and the rankings behind the biggest wins and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tribrid.evaluation.plots import number, query_deltas, signed

Json = Mapping[str, Any]

_EXAMPLES = 8
"""Wins shown at most, and losses shown at most."""
_OPEN = 2
"""Of each, how many stand open."""


def changes_section(report: Json, rows: Sequence[Json]) -> str:
    """The plot of each query's change in the primary measure; empty without a comparison."""
    changes = [(row["delta_primary"], row["text"]) for row in rows if row["delta_primary"] is not None]
    if not changes or not report["delta"]:
        return ""
    measure, delta = report["primary_measure"], report["delta"][report["primary_key"]]
    return (
        f'<section><h2>Change on each query</h2><p class="lead">After − before in {escape(measure)}, one bar a query, '
        "best first.</p>"
        f'<div class="legend"><span style="--swatch: var(--gain)">{delta["wins"]:,} better</span>'
        f"<span>{delta['ties']:,} the same</span>"
        f'<span style="--swatch: var(--loss)">{delta["losses"]:,} worse</span></div>'
        f"<figure>{query_deltas(changes, measure)}</figure></section>"
    )


def examples_section(report: Json, rows: Sequence[Json]) -> str:
    """The biggest wins and losses, each with both rankings side by side; empty without a comparison."""
    changed = sorted((row for row in rows if row["delta_primary"]), key=lambda row: -row["delta_primary"])
    if not changed:
        return ""
    wins = [row for row in changed if row["delta_primary"] > 0][:_EXAMPLES]
    losses = [row for row in reversed(changed) if row["delta_primary"] < 0][:_EXAMPLES]
    body = ""
    for title, chosen in (("Biggest wins", wins), ("Biggest losses", losses)):
        if chosen:
            items = "".join(_example(report, row, opened=at < _OPEN) for at, row in enumerate(chosen))
            body += f"<h3>{title}</h3>{items}"
    return (
        '<section><h2>Rankings before and after</h2><p class="lead">The top 10 of both. Relevant documents are marked; '
        "“?” means that nobody has judged the document. Scores of two systems are not on one scale.</p>"
        f"{body}</section>"
    )


def _example(report: Json, row: Json, *, opened: bool) -> str:
    key, compared = report["primary_key"], report["compared"]
    kind = "gain" if row["delta_primary"] > 0 else "loss"
    old_ranks = {doc["doc_id"]: doc["rank"] for doc in row["top_before"]}
    return (
        f'<details{" open" if opened else ""}><summary><span class="query"><bdi>{escape(row["text"])}</bdi></span>'
        f'<span class="moved"><span class="muted">{number(row["before"][key])} →</span> {number(row["after"][key])} '
        f'<b class="{kind}">{signed(row["delta_primary"])}</b></span></summary>'
        f'<div class="rankings"><div><h4>Before: {escape(compared["before"])}</h4>'
        f"{_ranking(row['top_before'], {})}</div><div><h4>After: {escape(compared['after'])}</h4>"
        f"{_ranking(row['top_after'], old_ranks)}</div></div></details>"
    )


def _ranking(docs: Sequence[Json], old_ranks: Mapping[str, int]) -> str:
    if not docs:
        return '<p class="muted">Nothing found.</p>'
    return f'<ol class="ranking">{"".join(_ranked(doc, old_ranks) for doc in docs)}</ol>'


def _ranked(doc: Json, old_ranks: Mapping[str, int]) -> str:
    grade = doc["grade"]
    relevant = grade is not None and grade >= 1
    mark = "?" if grade is None else f"grade {grade}" if relevant else "not relevant"
    return (
        f'<li class="{"relevant" if relevant else "other"}"><span class="rank">{doc["rank"]}</span>'
        f'<span class="id" title="{escape(doc["doc_id"])}"><bdi>{escape(doc["doc_id"])}</bdi></span>'
        f'<span class="grade">{mark}{_movement(doc, old_ranks)}</span>'
        f'<span class="score">{doc["score"]:#.3g}</span></li>'
    )


def _movement(doc: Json, old_ranks: Mapping[str, int]) -> str:
    """Where an after document stood before, in its top 10; nothing for the before list."""
    if not old_ranks:
        return ""
    old = old_ranks.get(doc["doc_id"])
    if old is None:
        return " · from below 10"
    if old == doc["rank"]:
        return ""
    return f" · {'↑' if old > doc['rank'] else '↓'}{abs(old - doc['rank'])}"
