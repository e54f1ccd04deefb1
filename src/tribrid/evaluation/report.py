"""The evaluation report: every number of a before/after comparison, and a row for each query.

It takes runs that were made elsewhere and calls no model. It refuses, as EvaluationFailed, what would make the
comparison untrue without showing: a reranked list that is not a permutation of the frozen candidates, a score that is
no number. What it can show it shows: arms that failed, fallbacks, leakage, all of which the gate reads.

`before` is what serves now (the champion, or retrieval where there is none), `after` the model just trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from tribrid.answers.changes import Consistency, CorpusPart, Delta, Gate, SlicePart, Verdict, slice_key
from tribrid.answers.evalsets import log_span, source_of
from tribrid.answers.report import (
    Candidates,
    Compared,
    EvalDatasetFacts,
    EvaluationReport,
    Fallbacks,
    Latency,
    QueryRow,
    Statistics,
    System,
)
from tribrid.errors import EvaluationFailed
from tribrid.evaluation.answerable import answerable_served
from tribrid.evaluation.believed import Beliefs
from tribrid.evaluation.calibration import calibrate_served
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.consistency import CorpusChange, compare_corpora
from tribrid.evaluation.gate import Evidence, decide, luck
from tribrid.evaluation.inputs import EvaluationInputs
from tribrid.evaluation.measured import Measured, beliefs, by_belief, measure
from tribrid.evaluation.measures import (
    Run,
    explain_primary,
    oracle,
    recall_ceiling,
    report_key,
)
from tribrid.evaluation.moves import MOST, relevant_moves, top
from tribrid.evaluation.notes import GIVEN, ORACLE, RETRIEVAL, WITHOUT_MEMORY, Findings, notes
from tribrid.evaluation.slices import TRAINING, Slice, slice_rows, slices
from tribrid.scoring.scorer import UNTRAINED_MODEL
from tribrid.types import GRAPH, LEGS, EvalDataset

NAMED = (RETRIEVAL, "base", "champion", "challenger", ORACLE)
"""Systems every report has a place for; null where there is no such system."""


class Report(NamedTuple):
    """`summary` is the report; `queries` its rows, one for each evaluable query, by query_id."""

    summary: EvaluationReport
    queries: list[QueryRow]


def build_report(inputs: EvaluationInputs) -> Report:
    """Measure every system, compare after with before, decide, and write it all down.

    Raises:
        InvalidInput: no query of the dataset has a positive judgment.
        EvaluationFailed: `retrieval`, `before` or `after` was neither run nor failed; a run does not order the frozen
            candidates; a score is not a finite number.
    """
    try:
        return _built(inputs)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join((error.title, *map(str, first["loc"])))
        raise EvaluationFailed(f"{where}: {first['msg']}.", field=where) from error


def _built(inputs: EvaluationInputs) -> Report:
    explanation = explain_primary(inputs.dataset.queries)
    compared = [inputs.systems[name] for name in (inputs.before, inputs.after or "") if name in inputs.systems]
    believed = beliefs(inputs.dataset, inputs.candidates.doc_ids, compared, inputs.config.seed)
    measured = measure(inputs, _systems(inputs, believed), believed)
    primary = report_key(inputs.dataset.primary_measure)
    ceiling = recall_ceiling(inputs.candidates.doc_ids, measured.queries)
    kinds = slices(measured.queries, inputs.slice_facts, inputs.config)
    across = _across(inputs, measured, primary, kinds)
    latency = _latency(inputs.latency_ms)
    decision = decide(_evidence(inputs, measured, primary, across, latency.p95), inputs.gate)
    config, candidates = inputs.config, inputs.candidates
    scored = (inputs.after, inputs.before), inputs.dataset.queries, config.score_threshold
    summary = EvaluationReport(
        **dict(inputs.about),
        eval_dataset=_dataset_facts(inputs.dataset, len(measured.queries)),
        candidates=Candidates(
            **dict(candidates.origin), depth=candidates.depth, sha256=candidates.sha256, recall_ceiling=ceiling
        ),
        primary_measure=primary,
        primary_reason=explanation if primary == "ndcg@10" else "Chosen for this eval dataset.",
        measures=measured.keys,
        compared=Compared(before=inputs.before, after=inputs.after, serves=inputs.serves_neither),
        before=measured.means.get(inputs.before),
        after=measured.means.get(inputs.after or ""),
        delta=measured.delta or None,
        systems=_system_rows(measured),
        outside=dict(inputs.outside),
        slices=across.slices,
        corpora=across.corpora,
        consistency=across.consistency,
        verdict=Verdict(decision=decision.decision, reasons=(*decision.reasons, *_labels(inputs.dataset))),
        gate=Gate(minimum_effect=inputs.gate.minimum_effect, guards=decision.guards),
        notes=tuple(notes(_findings(inputs, measured, primary, ceiling, believed))),
        latency_ms=latency,
        calibration=calibrate_served(inputs.systems, *scored),
        answerable=answerable_served(inputs.systems, *scored),
        cost=inputs.cost,
        fallbacks=Fallbacks(count=sum(inputs.fallbacks.values()), reasons=dict(inputs.fallbacks)),
        leakage=inputs.leakage,
        failed=dict(inputs.failed),
        looks=inputs.looks.model_copy(update={"false_promotion_risk": luck(inputs.looks.models, config.confidence)}),
        risers=inputs.risers,
        fields=tuple(inputs.fields),
        settings=Statistics(resamples=config.resamples, confidence=config.confidence, seed=config.seed),
    )
    return Report(summary, _rows(inputs, measured, primary, kinds))


def _systems(inputs: EvaluationInputs, believed: Beliefs | None) -> dict[str, Run]:
    """The runs to measure, checked, with the oracle."""
    for name in (RETRIEVAL, inputs.before, inputs.after):
        if name is not None and name not in inputs.systems and name not in inputs.failed:
            raise EvaluationFailed(f"The report compares {name!r}, but it was not run.", system=name)
    for name, run in inputs.systems.items():
        if name not in (*LEGS, GRAPH) and not (name in inputs.outside and inputs.outside[name].own_candidates):
            _check_frozen(name, run, inputs.candidates.doc_ids)
    best = oracle(inputs.candidates.doc_ids, by_belief(inputs.dataset.queries, believed))
    return {**inputs.systems, ORACLE: best}


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


@dataclass(frozen=True, slots=True)
class _Across:
    """The change on slices of the queries, and on other corpora where some were asked for."""

    slices: tuple[SlicePart, ...] = ()
    corpora: tuple[CorpusPart, ...] = ()
    consistency: Consistency | None = None


def _across(inputs: EvaluationInputs, measured: Measured, primary: str, kinds: Sequence[Slice]) -> _Across:
    before, after = measured.compared.get(inputs.before), measured.compared.get(inputs.after or "")
    if before is None or after is None:
        return _Across()
    without_memory = measured.compared.get(WITHOUT_MEMORY, {}).get(primary)
    across = _Across(slice_rows(kinds, before[primary], after[primary], inputs.config, without_memory))
    if not inputs.others:
        return across
    here = CorpusChange(
        corpus_id=inputs.dataset.corpus_id,
        before=before[primary],
        after=after[primary],
        before_system=inputs.before,
        model_id=inputs.about.model_id,
        leaked=inputs.leaked,
    )
    return _Across(across.slices, *compare_corpora(primary, [here, *inputs.others], inputs.config))


def _evidence(
    inputs: EvaluationInputs, measured: Measured, primary: str, across: _Across, latency_p95_ms: float | None
) -> Evidence:
    def mean(name: str | None, key: str = primary) -> float | None:
        return measured.means[name][key] if name in measured.means else None

    after, judged = mean(inputs.after), (mean(inputs.before, "judged@10"), mean(inputs.after, "judged@10"))
    return Evidence(
        measure=primary,
        delta=measured.delta.get(primary),
        before=mean(inputs.before),
        after=after,
        retrieval=mean(RETRIEVAL),
        untrained=mean(UNTRAINED_MODEL) if inputs.serves_untrained else None,
        failed=inputs.failed,
        fallbacks=sum(inputs.fallbacks.values()),
        leaked=inputs.leaked,
        read_searches=inputs.leakage is not None and inputs.leakage.read_searches,
        deltas=measured.delta,
        judged=None if judged[0] is None or judged[1] is None else (judged[0], judged[1]),
        # Whether its answer was seen in training is known of no query before: what is remembered helps the one half and
        # harms the other, and only both together are what users get.
        slices=[part for part in across.slices if part.field != TRAINING],
        corpora=across.corpora,
        latency_p95_ms=latency_p95_ms,
        timeout_ms=inputs.timeout_ms,
        given=_against_given(inputs, measured, primary),
        seeds=(*inputs.seeds, after) if inputs.seeds and after is not None else (),
        looks=inputs.looks,
        risers=inputs.risers,
    )


def _against_given(inputs: EvaluationInputs, measured: Measured, primary: str) -> Delta | None:
    """After - the order of whoever gave the documents, on the queries that came with one."""
    given, after = measured.compared.get(GIVEN), measured.compared.get(inputs.after or "")
    asked = [query.query_id for query in measured.queries if query.query_id in inputs.given]
    if given is None or after is None or not asked:
        return None
    sides = [{query_id: of[primary][query_id] for query_id in asked} for of in (given, after)]
    config = inputs.config
    return compare(*sides, resamples=config.resamples, confidence=config.confidence, seed=config.seed)


def _findings(
    inputs: EvaluationInputs, measured: Measured, primary: str, ceiling: float, believed: Beliefs | None
) -> Findings:
    before, after = measured.means.get(inputs.before), measured.means.get(inputs.after or "")
    return Findings(
        measure=primary,
        before=inputs.before,
        after=inputs.after,
        queries=len(measured.queries),
        primary={name: of[primary] for name, of in measured.means.items()},
        after_minus=measured.after_minus,
        judged=(before["judged@10"], after["judged@10"]) if before is not None and after is not None else None,
        recall_ceiling=ceiling,
        depth=inputs.candidates.depth,
        drifted=inputs.candidates.drift,
        log=log_span(inputs.dataset.evidence),
        imputed=believed is not None and believed.imputed,
        fields=inputs.fields,
    )


def _labels(dataset: EvalDataset) -> list[str]:
    """Whose word a verdict is, where it is not that of judges."""
    span = log_span(dataset.evidence)
    return [] if span is None else [f"Measured on labels from logs ({span.told}), not on judgments."]


def _dataset_facts(dataset: EvalDataset, counted: int) -> EvalDatasetFacts:
    return EvalDatasetFacts(
        sha256=dataset.sha256,
        version=dataset.version,
        queries=len(dataset.queries),
        judgments=sum(len(query.judgments) for query in dataset.queries),
        excluded=len(dataset.queries) - counted,
        source=source_of(dataset.evidence),
        log=log_span(dataset.evidence),
    )


def _system_rows(measured: Measured) -> dict[str, System | None]:
    """Each system's measures, their 95 % intervals, and after minus it in the primary measure."""
    rows: dict[str, System | None] = dict.fromkeys(NAMED)
    for name, values in measured.means.items():
        beside = {"ci95": measured.bounds[name], "after_minus": measured.after_minus.get(name)}
        rows[name] = System.model_validate({**values, **beside})
    return rows


def _latency(latency_ms: Sequence[float]) -> Latency:
    if not latency_ms:
        return Latency(p50=None, p95=None)
    p50, p95 = np.percentile(np.asarray(latency_ms, dtype=np.float64), [50, 95])
    return Latency(p50=float(p50), p95=float(p95), queries=len(latency_ms))


def _kinds_of(kinds: Sequence[Slice]) -> dict[str, list[str]]:
    """query_id → the keys of its slices."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        for query_id in kind.query_ids:
            found.setdefault(query_id, []).append(slice_key(kind.field, kind.name))
    return found


def _rows(inputs: EvaluationInputs, measured: Measured, primary: str, kinds: Sequence[Slice]) -> list[QueryRow]:
    after_name = inputs.after if inputs.after in measured.values else None
    before_values = measured.values.get(inputs.before, {})
    after_values = measured.values[after_name] if after_name else {}
    runs = inputs.systems.get(inputs.before, {}), inputs.systems.get(after_name or "", {})
    rows: list[QueryRow] = []
    kinds_of = _kinds_of(kinds)
    for query in measured.queries:
        before = {key: of[query.query_id] for key, of in before_values.items()} or None
        after = {key: of[query.query_id] for key, of in after_values.items()} or None
        change = {key: after[key] - before[key] for key in measured.keys} if before and after else None
        relevant = relevant_moves(*runs, query)
        rows.append(
            QueryRow(
                query_id=query.query_id,
                text=query.text,
                before=before,
                after=after,
                delta=change,
                delta_primary=change[primary] if change else None,
                top_before=top(runs[0], query),
                top_after=top(runs[1], query),
                relevant=tuple(relevant[:MOST]),
                relevant_total=len(relevant),
                slices=tuple(kinds_of.get(query.query_id, ())),
            )
        )
    return rows
