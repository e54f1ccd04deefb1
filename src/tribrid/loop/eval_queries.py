"""The eval dataset's queries, which nothing may learn from."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.errors import Leakage
from tribrid.mining.contamination import contaminated_rows
from tribrid.types import JudgedQuery, Triplet
from tribrid.workspace import Workspace

NAMED_ROWS = 20
"""Rows that an error names; the rest is counted."""


def eval_queries_of(ws: Workspace, corpus_id: str) -> tuple[JudgedQuery, ...]:
    """The queries of the eval dataset in force; none where there is no eval dataset."""
    if not ws.store.evalsets.versions(corpus_id):
        return ()
    return ws.store.evalsets.current(corpus_id).queries


def kept_out(ws: Workspace, corpus_id: str) -> str | None:
    """Hash of the eval dataset whose queries a training leaves out; None where there is none."""
    return next((version.sha256 for version in ws.store.evalsets.versions(corpus_id) if version.current), None)


def refuse_leakage(ws: Workspace, corpus_id: str, triplets: Sequence[Triplet]) -> None:
    """Check the training queries against the eval dataset.

    Raises:
        Leakage: naming the rows of both sides.
    """
    rows = contaminated_rows(eval_queries_of(ws, corpus_id), triplets)
    overlapping = list(dict.fromkeys(row["eval_query_id"] for row in rows))
    if rows:
        first = rows[0]
        raise Leakage(
            f"{len(overlapping)} queries of the eval dataset, or near-duplicates, are among the training queries: "
            f"eval query {first['eval_query_id']!r} is training query {first['training_query']!r}, for one. Mine "
            "again: mining leaves out what the current eval dataset asks.",
            overlapping=overlapping[:NAMED_ROWS],
            overlapping_total=len(overlapping),
            rows=rows[:NAMED_ROWS],
            rows_total=len(rows),
        )
