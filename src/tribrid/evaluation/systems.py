"""Any number of systems on the same judged queries: what each is worth, and every pair of them compared.

The statistics are those of the evaluation report (`comparison`). Whoever looks at all pairs in all measures sees some
differ by chance: p-values are corrected for all of them together, and on slices for all slices of all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tribrid.answers.changes import Delta, SlicePart
from tribrid.answers.comparison import ComparedSystem, PairDelta, PairSlice, QueryValues, SystemComparison
from tribrid.config.sections import EvaluationConfig
from tribrid.errors import InvalidInput
from tribrid.evaluation.comparison import Matrix, adjusted, by_family, deltas, intervals
from tribrid.evaluation.measures import (
    PerQuery,
    Run,
    evaluable,
    is_quality,
    means,
    per_query,
    recommend_primary,
    report_key,
)
from tribrid.evaluation.slices import Slice, slice_rows
from tribrid.types import JudgedQuery, ScoredDoc

LEAST = 2
"""Queries of a slice that is compared: one has no interval."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """Of each system its values; `keys` and `query_ids` in their order."""

    keys: tuple[str, ...]
    query_ids: tuple[str, ...]
    values: Mapping[str, PerQuery]

    def matrix(self, name: str) -> Matrix:
        """A system's values, shape (queries, measures)."""
        of = self.values[name]
        return np.array([[of[key][query_id] for key in self.keys] for query_id in self.query_ids], dtype=np.float64)


def compare_systems(
    runs: Mapping[str, Run],
    queries: Sequence[JudgedQuery],
    measures: Sequence[str],
    slices: Mapping[str, str],
    config: EvaluationConfig,
) -> SystemComparison:
    """Measure every system, and compare each with each.

    Args:
        runs: system → what it found.
        measures: report keys or ir_measures' names.
        slices: query_id → the slice that it is in.

    Raises:
        InvalidInput: no system or measure, no such measure, or no query with a positive judgment.
        EvaluationFailed: a list holds a document twice, or a score is not finite.
    """
    if not runs or not measures:
        raise InvalidInput("A comparison needs a system and a measure.")
    recommend_primary(queries)  # refuses queries of which none has a relevant document
    keys = tuple(dict.fromkeys(map(report_key, measures)))
    primary = _primary(keys)
    counted = evaluable(queries)
    values = {name: per_query(run, counted, keys) for name, run in runs.items()}
    measured = _Measured(keys, tuple(query.query_id for query in counted), values)
    small, parts = _slices(slices, measured.query_ids)
    return SystemComparison(
        primary_measure=primary,
        measures=keys,
        queries=len(counted),
        excluded=len(queries) - len(counted),
        systems=_systems(runs, measured, config),
        pairs=_pairs(measured, config),
        slices=_on_slices(measured, primary, parts, config),
        notes=(*_notes(runs, counted), *small),
        rows=tuple(_row(query, measured) for query in counted),
    )


def _primary(keys: Sequence[str]) -> str:
    """The first that says how good a ranking is."""
    found = next(filter(is_quality, keys), None)
    if found is None:
        raise InvalidInput(f"None of {', '.join(keys)} says how good a ranking is: name one that does.")
    return found


def _row(query: JudgedQuery, measured: _Measured) -> QueryValues:
    of = {name: {key: values[key][query.query_id] for key in measured.keys} for name, values in measured.values.items()}
    return QueryValues(query_id=query.query_id, text=query.text, values=of)


def _systems(runs: Mapping[str, Run], measured: _Measured, config: EvaluationConfig) -> dict[str, ComparedSystem]:
    names = list(runs)
    every = np.hstack([measured.matrix(name) for name in names])
    bounds = intervals(every, levels=(0.95,), resamples=config.resamples, seed=config.seed)[0]
    width = len(measured.keys)
    return {
        name: ComparedSystem(
            means=means(measured.values[name]),
            ci95={
                key: (float(bounds[at * width + column, 0]), float(bounds[at * width + column, 1]))
                for column, key in enumerate(measured.keys)
            },
            missing=sum(not runs[name].get(query_id) for query_id in measured.query_ids),
        )
        for at, name in enumerate(names)
    }


def _pairs(measured: _Measured, config: EvaluationConfig) -> tuple[PairDelta, ...]:
    pairs = list(combinations(measured.values, 2))
    if not pairs:
        return ()
    columns = np.hstack([measured.matrix(b) - measured.matrix(a) for a, b in pairs])
    found = deltas(columns, resamples=config.resamples, confidence=config.confidence, seed=config.seed)
    named = [(key, a, b) for a, b in pairs for key in measured.keys]
    # By number behind the measure: whether it is one of quality is read off its name.
    changes = {f"{key}/{at}": change for at, ((key, _, _), change) in enumerate(zip(named, found, strict=True))}
    corrected: list[Delta] = list(by_family(changes, is_quality).values())
    rows = [PairDelta(measure=key, a=a, b=b, delta=d) for (key, a, b), d in zip(named, corrected, strict=True)]
    return tuple(sorted(rows, key=lambda row: measured.keys.index(row.measure)))


def _slices(slices: Mapping[str, str], query_ids: Sequence[str]) -> tuple[list[str], list[Slice]]:
    """What is to be said of slices too small to compare; the others, biggest first."""
    pieces: dict[str, list[str]] = {}
    for query_id in query_ids:
        if query_id in slices:
            pieces.setdefault(str(slices[query_id]), []).append(query_id)
    small = sorted(name for name, of in pieces.items() if len(of) < LEAST)
    told = [f"Of a single query, and not compared: the slices {', '.join(map(repr, small))}."] if small else []
    ordered = sorted(pieces.items(), key=lambda piece: (-len(piece[1]), piece[0]))
    return told, [Slice("slice", name, tuple(of)) for name, of in ordered if len(of) >= LEAST]


def _on_slices(
    measured: _Measured, primary: str, parts: Sequence[Slice], config: EvaluationConfig
) -> tuple[PairSlice, ...]:
    pairs = list(combinations(measured.values, 2))
    of = {name: values[primary] for name, values in measured.values.items()}
    found: list[tuple[str, str, SlicePart]] = [
        (a, b, row) for a, b in pairs for row in slice_rows(parts, of[a], of[b], config)
    ]
    corrected = adjusted([row.delta for _, _, row in found if row.delta is not None])
    return tuple(
        PairSlice.model_validate({**dict(row), "a": a, "b": b, "delta": change})
        for (a, b, row), change in zip(found, corrected, strict=True)
    )


def _answered(run: Run, counted: Sequence[JudgedQuery]) -> list[Sequence[ScoredDoc]]:
    """What a run found, for the queries for which it found something."""
    return [run[query.query_id] for query in counted if run.get(query.query_id)]


def _notes(runs: Mapping[str, Run], counted: Sequence[JudgedQuery]) -> Iterator[str]:
    judged = {doc_id for query in counted for doc_id in query.judgments}
    for name, run in runs.items():
        lists = _answered(run, counted)
        if not lists:
            raise InvalidInput(
                f"The run {name!r} has none of the {len(counted)} queries that are judged: are its query ids the "
                f"judgments'? It has {sorted(run)[:3]}, they have {[query.query_id for query in counted[:3]]}.",
                system=name,
            )
        if _other_ids(lists, judged):
            theirs, ours = [doc.doc_id for doc in lists[0][:3]], sorted(judged)[:3]
            yield (
                f"No document that {name!r} found is judged, for any query: are its ids the judgments'? It has "
                f"{theirs}, they have {ours}. An id that was read as a number has lost its leading zeros."
            )
        if missing := len(counted) - len(lists):
            yield f"{name!r} found nothing for {missing:,} of {len(counted):,} queries: they count as 0."


def _other_ids(lists: Sequence[Sequence[ScoredDoc]], judged: Set[str]) -> bool:
    """Whether no document is one of these."""
    return judged.isdisjoint(doc.doc_id for docs in lists for doc in docs)
