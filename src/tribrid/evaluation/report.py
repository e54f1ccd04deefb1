"""The evaluation report: every number of a before/after comparison, as plain JSON, and a row for each query.

It takes runs that were made elsewhere and calls no model. It refuses, as EvaluationFailed, what would make the
comparison untrue without showing: a reranked list that is not a permutation of the frozen candidates, a score that is
no number. What it can show it shows: arms that failed, fallbacks, leakage, all of which the gate reads.

`before` is what serves now (the champion, or retrieval where there is none), `after` the model just trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tribrid.errors import EvaluationFailed
from tribrid.evaluation.calibration import calibrate_served
from tribrid.evaluation.comparison import Delta, Matrix, by_family, compare, deltas, intervals
from tribrid.evaluation.consistency import CorpusChange, compare_corpora
from tribrid.evaluation.gate import Evidence, Looks, as_guards_name_them, decide, guard_measures
from tribrid.evaluation.measures import (
    PerQuery,
    Run,
    evaluable,
    explain_primary,
    is_quality,
    means,
    oracle,
    per_query,
    recall_ceiling,
    report_key,
    reported,
)
from tribrid.evaluation.moves import relevant_moves, top
from tribrid.evaluation.notes import GIVEN, ORACLE, RETRIEVAL, Findings, notes
from tribrid.evaluation.plain import plain
from tribrid.evaluation.slices import SliceFacts, slice_rows, slices
from tribrid.sections import EvaluationConfig, GateConfig
from tribrid.types import LEGS, EvalDataset, JudgedQuery

NAMED = (RETRIEVAL, "base", "champion", "challenger", ORACLE)
"""Systems every report has a place for; null where there is no such system."""


@dataclass(frozen=True, slots=True)
class FrozenCandidates:
    """What every reranker was given. `doc_ids`: query_id → doc_ids in retrieval order, at most `depth` of them.

    `origin`: put into the report as it is (the corpus's version, whether an earlier evaluation had the same).
    """

    depth: int
    sha256: str
    doc_ids: Mapping[str, Sequence[str]]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def drift(self) -> tuple[str, ...] | None:
        """What changed since the dataset was measured on other candidates; None where these are the same, or first."""
        return tuple(self.origin.get("changed", ())) if self.origin.get("same_as_before") is False else None

    def facts(self, recall_ceiling: float) -> dict[str, Any]:
        """What the report says of them."""
        return {"depth": self.depth, "sha256": self.sha256, "recall_ceiling": recall_ceiling, **self.origin}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInputs:
    """Everything a report is made from.

    `systems`: name → run. The legs (`sparse`, `dense`) may hold what they like; every other run must order exactly the
    frozen candidates. `retrieval` is the fused order; the oracle is made here.
    `outside`: name of an arm that the caller added → what is known of it; with `own_candidates` it is judged as it is.
    `slice_facts`: what the queries are sliced by. `others`: the same comparison on further corpora, in the primary
    measure.
    `before`, `after`: names in `systems`; `after` is None where there is no trained model.
    `latency_ms`: of reranking one query, one value a query, in any order.
    `fallbacks`: reason → queries on which `after` served the retrieval order instead of its own.
    `failed`: name of a system that could not be run → what happened.
    `context`: put into the report as it is (ids, times, model names).
    `looks`: how often the dataset has been measured on, this time included.
    `seeds`: the primary measure of models that differ from `after` in their seed alone, where some were measured.
    `given`: query_ids of which the run `given` knows the order in which their documents came to a rerank.
    `timeout_ms`: when a search stops reranking.
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
    outside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slice_facts: SliceFacts = field(default_factory=SliceFacts)
    others: Sequence[CorpusChange] = ()
    gate: GateConfig = field(default_factory=lambda: GateConfig.model_validate({}))
    looks: Looks = field(default_factory=Looks)
    seeds: Sequence[float] = ()
    given: Collection[str] = ()
    timeout_ms: float | None = None


class Report(NamedTuple):
    """`summary` is the JSON report; `queries` its rows, one for each evaluable query, by query_id."""

    summary: dict[str, Any]
    queries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """Per-query values of each system, and what was read off them. `names`: report key → name of each measure."""

    names: dict[str, str]
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
    across = _across(inputs, measured, primary)
    summary: dict[str, Any] = {
        **inputs.context,
        "eval_dataset": _dataset_facts(inputs.dataset, len(measured.queries)),
        "candidates": inputs.candidates.facts(ceiling),
        "primary_measure": measured.names[primary],
        "primary_key": primary,
        "primary_reason": explanation if primary == "ndcg@10" else "Chosen for this eval dataset.",
        "measures": measured.names,
        "compared": {"before": inputs.before, "after": inputs.after},
        "before": before,
        "after": after,
        "delta": {key: delta.as_json() for key, delta in measured.delta.items()} or None,
        "systems": _system_rows(measured),
        "outside": {name: dict(facts) for name, facts in inputs.outside.items()},
        **across,
        "verdict": None,
        "notes": notes(_findings(inputs, measured, primary, ceiling)),
        "latency_ms": _latency(inputs.latency_ms),
        "calibration": calibrate_served(
            inputs.systems, (inputs.after, inputs.before), inputs.dataset.queries, inputs.config.score_threshold
        ),
        "cost": dict(inputs.cost),
        "fallbacks": {"count": sum(inputs.fallbacks.values()), "reasons": dict(inputs.fallbacks)},
        "leakage": dict(inputs.leakage),
        "failed": dict(inputs.failed),
        "looks": inputs.looks.as_json(inputs.config.confidence),
        "settings": {
            "resamples": inputs.config.resamples,
            "confidence": inputs.config.confidence,
            "seed": inputs.config.seed,
        },
    }
    _judge(summary, inputs, measured, primary)
    return Report(plain(summary, "report"), plain(_rows(inputs, measured, primary), "queries"))


def _judge(summary: dict[str, Any], inputs: EvaluationInputs, measured: _Measured, primary: str) -> None:
    """Put the verdict into a report that is otherwise complete: the gate reads its slices and corpora too."""
    decision = decide(_evidence(inputs, measured, primary, summary), inputs.gate)
    summary["verdict"] = decision.as_json()
    summary["gate"] = {"minimum_effect": inputs.gate.minimum_effect, "guards": decision.guards_json()}


def _systems(inputs: EvaluationInputs) -> dict[str, Run]:
    """The runs to measure, checked, with the oracle."""
    for name in (RETRIEVAL, inputs.before, inputs.after):
        if name is not None and name not in inputs.systems and name not in inputs.failed:
            raise EvaluationFailed(f"The report compares {name!r}, but it was not run.", system=name)
    for name, run in inputs.systems.items():
        if name not in LEGS and not inputs.outside.get(name, {}).get("own_candidates"):
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
    names = reported(*inputs.config.measures, *guard_measures(inputs.gate), inputs.dataset.primary_measure)
    values = {name: per_query(run, queries, tuple(names.values())) for name, run in systems.items()}
    delta, after_minus = _comparisons(inputs, values, list(names))
    return _Measured(
        names=names,
        queries=queries,
        values=values,
        means={name: means(of) for name, of in values.items()},
        bounds=_bounds(inputs, values),
        delta=delta,
        after_minus=after_minus,
    )


def _bounds(inputs: EvaluationInputs, values: Mapping[str, PerQuery]) -> dict[str, dict[str, list[float]]]:
    """System → measure → 95 % interval of its mean."""
    columns = np.column_stack([_column(of[key]) for of in values.values() for key in of])
    found = intervals(columns, levels=(0.95,), resamples=inputs.config.resamples, seed=inputs.config.seed)[0].tolist()
    pairs = iter(found)
    return {name: {key: next(pairs) for key in of} for name, of in values.items()}


def _comparisons(
    inputs: EvaluationInputs, values: Mapping[str, PerQuery], keys: Sequence[str]
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
        np.column_stack(columns),
        resamples=inputs.config.resamples,
        confidence=inputs.config.confidence,
        seed=inputs.config.seed,
    )
    delta = by_family(dict(zip(measures, found, strict=False)), is_quality)
    return delta, dict(zip(others, found[len(measures) :], strict=True))


def _across(inputs: EvaluationInputs, measured: _Measured, primary: str) -> dict[str, Any]:
    """The change on slices of the queries, and on other corpora where some were asked for."""
    before, after = measured.values.get(inputs.before), measured.values.get(inputs.after or "")
    if before is None or after is None:
        return {"slices": []}
    found = slices(measured.queries, inputs.slice_facts, inputs.config)
    across: dict[str, Any] = {"slices": slice_rows(found, before[primary], after[primary], inputs.config)}
    if inputs.others:
        here = CorpusChange(
            corpus_id=inputs.dataset.corpus_id,
            before=before[primary],
            after=after[primary],
            before_system=inputs.before,
            model_id=inputs.context.get("model_id"),
            leaked=len(inputs.leakage.get("overlapping", ())),
        )
        rows, consistency = compare_corpora(measured.names[primary], [here, *inputs.others], inputs.config)
        across |= {"corpora": rows, "consistency": consistency}
    return across


def _column(values: Mapping[str, float]) -> Matrix:
    """Values by query_id: the same order for every system and measure."""
    return np.array([values[query_id] for query_id in sorted(values)], dtype=np.float64)


def _evidence(inputs: EvaluationInputs, measured: _Measured, primary: str, summary: Mapping[str, Any]) -> Evidence:
    def mean(name: str | None, key: str = primary) -> float | None:
        return measured.means[name][key] if name in measured.means else None

    after, judged = mean(inputs.after), (mean(inputs.before, "judged@10"), mean(inputs.after, "judged@10"))
    return Evidence(
        measure=measured.names[primary],
        delta=measured.delta.get(primary),
        before=mean(inputs.before),
        after=after,
        retrieval=mean(RETRIEVAL),
        failed=inputs.failed,
        fallbacks=sum(inputs.fallbacks.values()),
        leaked=len(inputs.leakage.get("overlapping", ())),
        deltas=as_guards_name_them(measured.delta, inputs.gate),
        judged=None if judged[0] is None or judged[1] is None else (judged[0], judged[1]),
        slices=summary.get("slices") or (),
        corpora=summary.get("corpora") or (),
        latency_p95_ms=summary["latency_ms"]["p95"],
        timeout_ms=inputs.timeout_ms,
        given=_against_given(inputs, measured, primary),
        seeds=(*inputs.seeds, after) if inputs.seeds and after is not None else (),
        looks=inputs.looks,
    )


def _against_given(inputs: EvaluationInputs, measured: _Measured, primary: str) -> Delta | None:
    """After - the order of whoever gave the documents, on the queries that came with one."""
    given, after = measured.values.get(GIVEN), measured.values.get(inputs.after or "")
    asked = [query.query_id for query in measured.queries if query.query_id in inputs.given]
    if given is None or after is None or not asked:
        return None
    sides = [{query_id: of[primary][query_id] for query_id in asked} for of in (given, after)]
    config = inputs.config
    return compare(*sides, resamples=config.resamples, confidence=config.confidence, seed=config.seed)


def _findings(inputs: EvaluationInputs, measured: _Measured, primary: str, ceiling: float) -> Findings:
    before, after = measured.means.get(inputs.before), measured.means.get(inputs.after or "")
    return Findings(
        measure=measured.names[primary],
        before=inputs.before,
        after=inputs.after,
        queries=len(measured.queries),
        primary={name: of[primary] for name, of in measured.means.items()},
        after_minus=measured.after_minus,
        judged=(before["judged@10"], after["judged@10"]) if before is not None and after is not None else None,
        recall_ceiling=ceiling,
        depth=inputs.candidates.depth,
        drifted=inputs.candidates.drift,
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
        change = {key: after[key] - before[key] for key in measured.names} if before and after else None
        rows.append(
            {
                "query_id": query.query_id,
                "text": query.text,
                "before": before,
                "after": after,
                "delta": change,
                "delta_primary": change[primary] if change else None,
                "top_before": top(inputs.systems.get(inputs.before, {}), query),
                "top_after": top(inputs.systems[after_name], query) if after_name else [],
                **relevant_moves(
                    inputs.systems.get(inputs.before, {}), inputs.systems.get(after_name or "", {}), query
                ),
            }
        )
    return rows
