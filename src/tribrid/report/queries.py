"""The report page's per-query part: the sorted change plot, and the rankings behind the biggest wins and losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tribrid.report.plots import number, query_deltas, signed
from tribrid.report.quoting import quoted
from tribrid.types import Document

Json = Mapping[str, Any]
Documents = Mapping[str, Document]
"""doc_id → the document, of those that the page can quote."""

_EXAMPLES = 8
"""Wins shown at most, and losses shown at most."""
_OPEN = 2
"""Of each, how many stand open."""
_QUOTED = 3
"""Documents of each ranking that are quoted; of the others the title is enough. Relevant ones always are."""
_QUOTE_CHARS = 170
_TITLE_CHARS = 90
_MOVES = 6
"""Relevant documents whose move is told in words."""


def named_documents(report: Json, rows: Sequence[Json]) -> set[str]:
    """The doc_ids that the page shows."""
    if not report["delta"]:
        return set()
    chosen = [row for _, part in _chosen(rows) for row in part]
    listed = {doc["doc_id"] for row in chosen for side in ("top_before", "top_after") for doc in row[side]}
    return listed | {doc["doc_id"] for row in chosen for doc in _moves(row)[:_MOVES]}


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


def examples_section(report: Json, rows: Sequence[Json], documents: Documents) -> str:
    """The biggest wins and losses, each with both rankings side by side; empty without a comparison."""
    body = ""
    for title, chosen in _chosen(rows):
        if chosen:
            items = "".join(_example(report, row, documents, opened=at < _OPEN) for at, row in enumerate(chosen))
            body += f"<h3>{title}</h3>{items}"
    if not body:
        return ""
    return (
        '<section><h2>Rankings before and after</h2><p class="lead">The top 10 of both. Relevant documents are marked; '
        "“?” means that nobody has judged the document. Scores of two systems are not on one scale.</p>"
        f"{body}</section>"
    )


def _chosen(rows: Sequence[Json]) -> list[tuple[str, list[Json]]]:
    """The rows to show, the largest change first."""
    changed = sorted((row for row in rows if row["delta_primary"]), key=lambda row: -row["delta_primary"])
    wins = [row for row in changed if row["delta_primary"] > 0][:_EXAMPLES]
    losses = [row for row in reversed(changed) if row["delta_primary"] < 0][:_EXAMPLES]
    return [("Biggest wins", wins), ("Biggest losses", losses)]


def _example(report: Json, row: Json, documents: Documents, *, opened: bool) -> str:
    key, compared = report["primary_key"], report["compared"]
    kind = "gain" if row["delta_primary"] > 0 else "loss"
    old_ranks = {doc["doc_id"]: doc["rank"] for doc in row["top_before"]}
    before = _ranking(row["top_before"], None, row["text"], documents)
    after = _ranking(row["top_after"], old_ranks, row["text"], documents)
    return (
        f'<details{" open" if opened else ""}><summary><span class="query"><bdi>{escape(row["text"])}</bdi></span>'
        f'<span class="moved"><span class="muted">{number(row["before"][key])} →</span> {number(row["after"][key])} '
        f'<b class="{kind}">{signed(row["delta_primary"])}</b></span></summary>{_told_moves(row, documents)}'
        f'<div class="rankings"><div><h4>Before: {escape(compared["before"])}</h4>{before}</div>'
        f"<div><h4>After: {escape(compared['after'])}</h4>{after}</div></div></details>"
    )


def _moves(row: Json) -> Sequence[Json]:
    """Where the relevant documents stood and stand; reports made before these were told have none."""
    documents: Sequence[Json] = row.get("relevant") or ()
    return documents


def _told_moves(row: Json, documents: Documents) -> str:
    """The relevant documents with both ranks, those below the top 10 as well."""
    moves = _moves(row)
    if not moves:
        return ""
    items = []
    for move in moves[:_MOVES]:
        old, new = move["before"], move["after"]
        kind = "same" if old == new else "gain" if old is None or (new is not None and new < old) else "loss"
        said = "not a candidate" if old is None and new is None else f"{_rank(old)} → <b>{_rank(new)}</b>"
        items.append(
            f'<li class="{kind}"><bdi>{escape(_title(move["doc_id"], documents))}</bdi> <span>{said}</span></li>'
        )
    rest = row["relevant_total"] - len(items)
    more = f'<li class="same">and {rest:,} more</li>' if rest > 0 else ""
    return f'<ul class="moves"><li class="head">Relevant, by rank:</li>{"".join(items)}{more}</ul>'


def _rank(rank: int | None) -> str:
    return "none" if rank is None else str(rank)


def _ranking(docs: Sequence[Json], old_ranks: Mapping[str, int] | None, query: str, documents: Documents) -> str:
    if not docs:
        return '<p class="muted">Nothing found.</p>'
    return f'<ol class="ranking">{"".join(_ranked(doc, old_ranks, query, documents) for doc in docs)}</ol>'


def _ranked(doc: Json, old_ranks: Mapping[str, int] | None, query: str, documents: Documents) -> str:
    grade, doc_id = doc["grade"], doc["doc_id"]
    relevant = grade is not None and grade >= 1
    mark = "?" if grade is None else f"grade {grade}" if relevant else "not relevant"
    document, title = documents.get(doc_id), _title(doc_id, documents)
    name = f'<span class="id" title="{escape(doc_id)}"><bdi>{escape(doc_id)}</bdi></span>'
    if title != doc_id:
        name = f'<span class="title" title="{escape(doc_id)}"><bdi>{escape(title)}</bdi></span>'
    score, quote = f"{doc['score']:#.3g}".replace("-", "−"), ""
    if document is not None and (relevant or doc["rank"] <= _QUOTED):
        quote = f'<span class="quote"><bdi>{quoted(document.text, query, _QUOTE_CHARS)}</bdi></span>'
    return (
        f'<li class="{"relevant" if relevant else "other"}"><span class="rank">{doc["rank"]}</span>{name}'
        f'<span class="grade">{mark}{_movement(doc, old_ranks)}</span>'
        f'<span class="score">{score}</span>{quote}</li>'
    )


def _title(doc_id: str, documents: Documents) -> str:
    """What a reader knows the document by."""
    document = documents.get(doc_id)
    title = (" ".join(document.title.split()) if document is not None else "") or doc_id
    return title if title == doc_id or len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"


def _movement(doc: Json, old_ranks: Mapping[str, int] | None) -> str:
    """Where an after document stood before, in its top 10; nothing for the before list."""
    if old_ranks is None:
        return ""
    old = old_ranks.get(doc["doc_id"])
    if old is None:
        return " · from below 10"
    if old == doc["rank"]:
        return ""
    return f" · {'↑' if old > doc['rank'] else '↓'}{abs(old - doc['rank'])}"
