"""Per-query values of every system of a comparison, their means and intervals, and how after differs from each.

Where nobody judged, and the labels are what a log makes believe (believed.py), a query has a value for each set of
labels. What is shown is their mean; what is compared is all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tribrid.answers.changes import Delta
from tribrid.evaluation.believed import Beliefs, averaged, believe
from tribrid.evaluation.comparison import Matrix, Value, by_family, deltas, intervals
from tribrid.evaluation.gate import guard_measures
from tribrid.evaluation.inputs import EvaluationInputs
from tribrid.evaluation.measures import PerQuery, Run, evaluable, is_quality, means, per_query, report_key, reported
from tribrid.types import EvalDataset, JudgedQuery

Compared = Mapping[str, Mapping[str, Value]]
"""Report key → query_id → value."""
GRADES = 1000
"""Grade of a document that is certainly good, where documents are put in order by how likely that is."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Per-query values of each system, and what was read off them.

    `keys`: report keys of the measures. `values` are shown, `compared` is compared; they differ only where labels are
    believed.
    """

    keys: tuple[str, ...]
    queries: list[JudgedQuery]
    values: dict[str, PerQuery]
    compared: Mapping[str, Compared]
    means: dict[str, dict[str, float]]
    bounds: dict[str, dict[str, list[float]]]
    delta: dict[str, Delta]
    after_minus: dict[str, Delta]


def beliefs(
    dataset: EvalDataset, candidates: Mapping[str, Sequence[str]], runs: Sequence[Run], seed: int
) -> Beliefs | None:
    """What is believed of the documents of a dataset from logs, with what these rankings say; None where people judged.

    Args:
        candidates: query_id → doc_ids.
    """
    if dataset.evidence is None:
        return None
    return believe(evaluable(dataset.queries), dataset.evidence, candidates, runs, seed)


def by_belief(queries: Sequence[JudgedQuery], believed: Beliefs | None) -> Sequence[JudgedQuery]:
    """The queries with grades that put documents in the best order: those judged, or by how likely each is good."""
    if believed is None:
        return queries
    return [
        replace(query, judgments={doc: round(GRADES * p) for doc, p in believed.chances[query.query_id].items()})
        for query in queries
        if query.query_id in believed.chances
    ]


def compared_values(
    run: Run, queries: Sequence[JudgedQuery], measures: Sequence[str], believed: Beliefs | None
) -> tuple[PerQuery, Compared]:
    """A system's values of each measure as they are shown, and as they are compared."""
    if believed is None:
        plain = per_query(run, queries, measures)
        return plain, plain
    drawn = believed.values(run, queries, measures)
    return averaged(drawn), drawn


def measure(inputs: EvaluationInputs, systems: Mapping[str, Run], believed: Beliefs | None) -> Measured:
    """All of it."""
    queries = evaluable(inputs.dataset.queries)
    names = reported(*inputs.config.measures, *guard_measures(inputs.gate), inputs.dataset.primary_measure)
    both = {name: compared_values(run, queries, tuple(names), believed) for name, run in systems.items()}
    values = {name: shown for name, (shown, _) in both.items()}
    found = {name: compared for name, (_, compared) in both.items()}
    delta, after_minus = _comparisons(inputs, found, list(names))
    return Measured(
        keys=tuple(names),
        queries=queries,
        values=values,
        compared=found,
        means={name: means(of) for name, of in values.items()},
        bounds=_bounds(inputs, found),
        delta=delta,
        after_minus=after_minus,
    )


def _bounds(inputs: EvaluationInputs, values: Mapping[str, Compared]) -> dict[str, dict[str, list[float]]]:
    """System → measure → 95 % interval of its mean."""
    columns = np.stack([_column(of[key]) for of in values.values() for key in of], axis=1)
    found = intervals(columns, levels=(0.95,), resamples=inputs.config.resamples, seed=inputs.config.seed)[0].tolist()
    pairs = iter(found)
    return {name: {key: next(pairs) for key in of} for name, of in values.items()}


def _comparisons(
    inputs: EvaluationInputs, values: Mapping[str, Compared], keys: Sequence[str]
) -> tuple[dict[str, Delta], dict[str, Delta]]:
    """Each measure's after - before, and the primary's after - each other system; empty where a side is missing."""
    after = values.get(inputs.after or "")
    if after is None:
        return {}, {}
    primary = report_key(inputs.dataset.primary_measure)
    others = [name for name in values if name != inputs.after]
    before = values.get(inputs.before)
    measures = list(keys) if before is not None else []
    columns = [_column(after[key]) - _column(before[key]) for key in measures] if before is not None else []
    columns += [_column(after[primary]) - _column(values[name][primary]) for name in others]
    found = deltas(
        np.stack(columns, axis=1),
        resamples=inputs.config.resamples,
        confidence=inputs.config.confidence,
        seed=inputs.config.seed,
    )
    delta = by_family(dict(zip(measures, found, strict=False)), is_quality)
    return delta, dict(zip(others, found[len(measures) :], strict=True))


def _column(values: Mapping[str, Value]) -> Matrix:
    """Values by query_id: the same order for every system and measure."""
    return np.array([values[query_id] for query_id in sorted(values)], dtype=np.float64)
