"""The eval dataset's queries, which nothing may learn from."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.errors import Leakage
from tribrid.mining.contamination import contaminated_rows
from tribrid.types import EvalDataset, JudgedQuery, Triplet
from tribrid.workspace.corpus import OpenCorpus

NAMED_ROWS = 20
"""Rows that an error names; the rest is counted."""


def eval_queries_of(corpus: OpenCorpus) -> tuple[JudgedQuery, ...]:
    """The queries of the eval dataset in force; none where there is no eval dataset."""
    dataset = dataset_in_force(corpus)
    return () if dataset is None else dataset.queries


def dataset_in_force(corpus: OpenCorpus) -> EvalDataset | None:
    """The eval dataset that decides; None where there is none."""
    if not corpus.store.evalsets.versions(corpus.corpus_id):
        return None
    return corpus.store.evalsets.current(corpus.corpus_id)


def kept_out(corpus: OpenCorpus) -> str | None:
    """Hash of the eval dataset whose queries a training leaves out; None where there is none."""
    versions = corpus.store.evalsets.versions(corpus.corpus_id)
    return next((version.sha256 for version in versions if version.current), None)


def refuse_leakage(corpus: OpenCorpus, triplets: Sequence[Triplet]) -> None:
    """Check the training queries against the eval dataset.

    Raises:
        Leakage: naming the rows of both sides.
    """
    rows = contaminated_rows(eval_queries_of(corpus), triplets)
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
