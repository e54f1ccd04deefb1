"""The evaluation report: every number of a before/after comparison, as plain JSON, and a row for each query.

It takes runs that were made elsewhere and calls no model. It refuses, as EvaluationFailed, what would make the
comparison untrue without showing: a reranked list that is not a permutation of the frozen candidates, a score that is
no number. What it can show it shows: arms that failed, fallbacks, leakage, all of which the gate reads.

`before` is what serves now (the champion, or retrieval where there is none), `after` the model just trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tribrid.config import EvaluationConfig
from tribrid.errors import EvaluationFailed
from tribrid.evaluation.calibration import calibrate_served
from tribrid.evaluation.comparison import Delta, Matrix, deltas, intervals
from tribrid.evaluation.gate import Evidence, decide
from tribrid.evaluation.measures import (
    MEASURES,
    PerQuery,
    Run,
    evaluable,
    explain_primary,
    means,
    oracle,
    per_query,
    recall_ceiling,
    report_key,
)
from tribrid.evaluation.moves import relevant_moves
from tribrid.evaluation.notes import ORACLE, RETRIEVAL, Findings, notes
from tribrid.types import FIRST_RANK, LEGS, EvalDataset, JudgedQuery, ScoredDoc, rank_order

NAMED = (RETRIEVAL, "base", "champion", "challenger", ORACLE)
"""Systems every report has a place for; null where there is no such system."""

TOP = 10
"""Documents of each ranking kept in a query's row."""


@dataclass(frozen=True, slots=True)
class FrozenCandidates:
    """What every reranker was given. `doc_ids`: query_id → doc_ids in retrieval order, at most `depth` of them."""

    depth: int
    sha256: str
    doc_ids: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInputs:
    """Everything a report is made from.

    `systems`: name → run. The legs (`sparse`, `dense`) may hold what they like; every other run must order exactly
    the frozen candidates. `retrieval` is the fused order; the oracle is made here.
    `before`, `after`: names in `systems`; `after` is None where there is no trained model.
    `latency_ms`: of reranking one query, one value a query, in any order.
    `fallbacks`: reason → queries on which `after` served the retrieval order instead of its own.
    `failed`: name of a system that could not be run → what happened.
    `context`: put into the report as it is (ids, times, model names).
    """

    dataset: EvalDataset
    candidates: FrozenCandidates
    systems: Mapping[str, Run]
    before: str
    after: str | None
    config: EvaluationConfig
    latency_ms: Sequence[float] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)
    fallbacks: Mapping[str, int] = field(default_factory=dict)
    leakage: Mapping[str, Any] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


class Report(NamedTuple):
    """`summary` is the JSON report; `queries` its rows, one for each evaluable query, by query_id."""

    summary: dict[str, Any]
    queries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """Per-query values of each system, and what was read off them."""

    queries: list[JudgedQuery]
    values: dict[str, PerQuery]
    means: dict[str, dict[str, float]]
    bounds: dict[str, dict[str, list[float]]]
    delta: dict[str, Delta]
    after_minus: dict[str, Delta]


def build_report(inputs: EvaluationInputs) -> Report:
    """Measure every system, compare after with before, decide, and write it all down.

    Raises:
        InvalidInput: no query of the dataset has a positive judgment.
        EvaluationFailed: `retrieval`, `before` or `after` was neither run nor failed; a run does not order the frozen
            candidates; a score or a cost is not a finite number.
    """
    explanation = explain_primary(inputs.dataset.queries)
    systems = _systems(inputs)
    measured = _measure(inputs, systems)
    primary = report_key(inputs.dataset.primary_measure)
    ceiling = recall_ceiling(inputs.candidates.doc_ids, measured.queries)
    before, after = measured.means.get(inputs.before), measured.means.get(inputs.after or "")
    decision = decide(_evidence(inputs, measured, primary))
    summary = {
        **inputs.context,
        "eval_dataset": _dataset_facts(inputs.dataset, len(measured.queries)),
        "candidates": {
            "depth": inputs.candidates.depth,
            "sha256": inputs.candidates.sha256,
            "recall_ceiling": ceiling,
        },
        "primary_measure": MEASURES[primary],
        "primary_key": primary,
        "primary_reason": explanation if MEASURES[primary] == "nDCG@10" else "Chosen for this eval dataset.",
        "measures": dict(MEASURES),
        "compared": {"before": inputs.before, "after": inputs.after},
        "before": before,
        "after": after,
        "delta": {key: delta.as_json() for key, delta in measured.delta.items()} or None,
        "systems": _system_rows(measured),
        "verdict": decision.as_json(),
        "notes": notes(_findings(inputs, measured, primary, ceiling)),
        "latency_ms": _latency(inputs.latency_ms),
        "calibration": calibrate_served(
            inputs.systems, (inputs.after, inputs.before), inputs.dataset.queries, inputs.config.score_threshold
        ),
        "cost": dict(inputs.cost),
        "fallbacks": {"count": sum(inputs.fallbacks.values()), "reasons": dict(inputs.fallbacks)},
        "leakage": dict(inputs.leakage),
        "failed": dict(inputs.failed),
        "settings": {
            "resamples": inputs.config.resamples,
            "confidence": inputs.config.confidence,
            "seed": inputs.config.seed,
        },
    }
    return Report(_plain(summary, "report"), _plain(_rows(inputs, measured, primary), "queries"))


def _systems(inputs: EvaluationInputs) -> dict[str, Run]:
    """The runs to measure, checked, with the oracle."""
    for name in (RETRIEVAL, inputs.before, inputs.after):
        if name is not None and name not in inputs.systems and name not in inputs.failed:
            raise EvaluationFailed(f"The report compares {name!r}, but it was not run.", system=name)
    for name, run in inputs.systems.items():
        if name not in LEGS:
            _check_frozen(name, run, inputs.candidates.doc_ids)
    return {**inputs.systems, ORACLE: oracle(inputs.candidates.doc_ids, inputs.dataset.queries)}


def _check_frozen(name: str, run: Run, candidates: Mapping[str, Sequence[str]]) -> None:
    """Raise unless each list of the run holds its query's frozen candidates, no more and no fewer."""
    strays = [
        query_id
        for query_id in sorted(candidates.keys() | run.keys())
        if {doc.doc_id for doc in run.get(query_id, ())} != set(candidates.get(query_id, ()))
    ]
    if strays:
        raise EvaluationFailed(
            f"{name!r} does not order the frozen candidates on {len(strays)} queries (first: {strays[0]!r}); "
            "what it ranked cannot be compared.",
            system=name,
            queries=len(strays),
        )


def _measure(inputs: EvaluationInputs, systems: Mapping[str, Run]) -> _Measured:
    queries = evaluable(inputs.dataset.queries)
    values = {name: per_query(run, queries) for name, run in systems.items()}
    delta, after_minus = _comparisons(inputs, values)
    return _Measured(
        queries=queries,
        values=values,
        means={name: means(of) for name, of in values.items()},
        bounds=_bounds(inputs, values),
        delta=delta,
        after_minus=after_minus,
    )


def _bounds(inputs: EvaluationInputs, values: Mapping[str, PerQuery]) -> dict[str, dict[str, list[float]]]:
    """System → measure → 95 % interval of its mean."""
    columns = np.column_stack([_column(of[key]) for of in values.values() for key in MEASURES])
    found = intervals(columns, levels=(0.95,), resamples=inputs.config.resamples, seed=inputs.config.seed)[0].tolist()
    pairs = iter(found)
    return {name: {key: next(pairs) for key in MEASURES} for name in values}


def _comparisons(inputs: EvaluationInputs, values: Mapping[str, PerQuery]) -> tuple[dict[str, Delta], dict[str, Delta]]:
    """Each measure's after - before, and the primary's after - each other system; empty where a side is missing."""
    after = values.get(inputs.after or "")
    if after is None:
        return {}, {}
    primary = report_key(inputs.dataset.primary_measure)
    others = [name for name in values if name != inputs.after]
    before = values.get(inputs.before)
    measures = list(MEASURES) if before is not None else []
    columns = [_column(after[key]) - _column(before[key]) for key in measures] if before is not None else []
    columns += [_column(after[primary]) - _column(values[name][primary]) for name in others]
    found = deltas(
        np.column_stack(columns),
        resamples=inputs.config.resamples,
        confidence=inputs.config.confidence,
        seed=inputs.config.seed,
    )
    return dict(zip(measures, found, strict=False)), dict(zip(others, found[len(measures) :], strict=True))


def _column(values: Mapping[str, float]) -> Matrix:
    """Values by query_id: the same order for every system and measure."""
    return np.array([values[query_id] for query_id in sorted(values)], dtype=np.float64)


def _evidence(inputs: EvaluationInputs, measured: _Measured, primary: str) -> Evidence:
    def mean(name: str | None) -> float | None:
        return measured.means[name][primary] if name in measured.means else None

    return Evidence(
        measure=MEASURES[primary],
        delta=measured.delta.get(primary),
        before=mean(inputs.before),
        after=mean(inputs.after),
        retrieval=mean(RETRIEVAL),
        failed=inputs.failed,
        fallbacks=sum(inputs.fallbacks.values()),
        leaked=len(inputs.leakage.get("overlapping", ())),
    )


def _findings(inputs: EvaluationInputs, measured: _Measured, primary: str, ceiling: float) -> Findings:
    before, after = measured.means.get(inputs.before), measured.means.get(inputs.after or "")
    return Findings(
        measure=MEASURES[primary],
        before=inputs.before,
        after=inputs.after,
        queries=len(measured.queries),
        primary={name: of[primary] for name, of in measured.means.items()},
        after_minus=measured.after_minus,
        judged=(before["judged@10"], after["judged@10"]) if before is not None and after is not None else None,
        recall_ceiling=ceiling,
        depth=inputs.candidates.depth,
    )


def _dataset_facts(dataset: EvalDataset, counted: int) -> dict[str, Any]:
    return {
        "sha256": dataset.sha256,
        "version": dataset.version,
        "queries": len(dataset.queries),
        "judgments": sum(len(query.judgments) for query in dataset.queries),
        "excluded": len(dataset.queries) - counted,
    }


def _system_rows(measured: _Measured) -> dict[str, Any]:
    """Each system's measures, their 95 % intervals, and after minus it in the primary measure."""
    rows: dict[str, Any] = dict.fromkeys(NAMED)
    for name, values in measured.means.items():
        delta = measured.after_minus.get(name)
        rows[name] = {**values, "ci95": measured.bounds[name], "after_minus": delta.as_json() if delta else None}
    return rows


def _latency(latency_ms: Sequence[float]) -> dict[str, Any]:
    """Percentiles of the time to rerank one query, ms; null where nothing was timed."""
    if not latency_ms:
        return {"p50": None, "p95": None, "queries": 0}
    p50, p95 = np.percentile(np.asarray(latency_ms, dtype=np.float64), [50, 95])
    return {"p50": float(p50), "p95": float(p95), "queries": len(latency_ms)}


def _rows(inputs: EvaluationInputs, measured: _Measured, primary: str) -> list[dict[str, Any]]:
    after_name = inputs.after if inputs.after in measured.values else None
    before_values = measured.values.get(inputs.before, {})
    rows: list[dict[str, Any]] = []
    for query in measured.queries:
        before = {key: of[query.query_id] for key, of in before_values.items()} or None
        after = {key: of[query.query_id] for key, of in measured.values[after_name].items()} if after_name else None
        change = {key: after[key] - before[key] for key in MEASURES} if before and after else None
        rows.append(
            {
                "query_id": query.query_id,
                "text": query.text,
                "before": before,
                "after": after,
                "delta": change,
                "delta_primary": change[primary] if change else None,
                "top_before": _top(inputs.systems.get(inputs.before, {}), query),
                "top_after": _top(inputs.systems[after_name], query) if after_name else [],
                **relevant_moves(
                    inputs.systems.get(inputs.before, {}), inputs.systems.get(after_name or "", {}), query
                ),
            }
        )
    return rows


def _top(run: Run, query: JudgedQuery) -> list[dict[str, Any]]:
    """The first documents of a ranking with their grades; null: nobody has judged it."""
    docs: Sequence[ScoredDoc] = rank_order(run.get(query.query_id, ()))[:TOP]
    return [
        {"rank": rank, "doc_id": doc.doc_id, "score": doc.score, "grade": query.judgments.get(doc.doc_id)}
        for rank, doc in enumerate(docs, start=FIRST_RANK)
    ]


def _plain(value: Any, where: str) -> Any:
    """The value as JSON has it: plain dicts, lists, ints and finite floats.

    Raises:
        EvaluationFailed: a number is not finite, or a value is of a kind JSON does not have; names the place.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationFailed(f"{where} is not a finite number.", field=where)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise EvaluationFailed(f"{where} is a {type(value).__name__}, which JSON does not have.", field=where)
