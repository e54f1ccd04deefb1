"""The steps of `evaluate`: which model is the challenger, every system on the same frozen candidates, the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribrid.config import Config
from tribrid.errors import EvaluationFailed, Leakage
from tribrid.evaluation.arms import Readings, base_scores, freeze, ranks, retrieval_arm, run_arms
from tribrid.evaluation.leakage import leakage
from tribrid.evaluation.measures import evaluable
from tribrid.evaluation.report import EvaluationInputs, build_report
from tribrid.mining.contamination import contaminated_rows
from tribrid.mining.splits import QueryMatcher
from tribrid.scoring.scorer import Scorer
from tribrid.serving import settle_forms
from tribrid.types import Emit, EvalDataset, JobKind, JudgedQuery, ScoredDoc, State, Triplet
from tribrid.workspace import Workspace, now_us

NAMED = 20
"""Rows that an error names; the rest is counted."""


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
            overlapping=overlapping[:NAMED],
            overlapping_total=len(overlapping),
            rows=rows[:NAMED],
            rows_total=len(rows),
        )


def compare_systems(
    ws: Workspace, corpus_id: str, evaluation_id: str, params: Mapping[str, Any], emit: Emit
) -> dict[str, Any]:
    """The report, stored; `promoted` says whether the challenger won its place."""
    config = ws.config(corpus_id)
    dataset = ws.store.evalsets.current(corpus_id)
    queries = {query.query_id: query.text for query in evaluable(dataset.queries)}
    challenger_id = params.get("model_id") or newest_model(ws, corpus_id, params.get("run_id"))
    champion_id = ws.store.models.alias(corpus_id, "champion")
    readings, legs = ws.read_queries(corpus_id, queries, config, emit)
    inputs = _run_systems(ws, corpus_id, config, dataset, readings, legs, (champion_id, challenger_id), emit)
    report = build_report(inputs(evaluation_id))
    won = report.summary["verdict"]["decision"] == "promote"
    report.summary["promoted"] = won and challenger_id is not None and challenger_id != champion_id
    ws.store.evaluations.put(evaluation_id, corpus_id, report.summary, report.queries)
    return report.summary


def _run_systems(
    ws: Workspace,
    corpus_id: str,
    config: Config,
    dataset: EvalDataset,
    readings: Readings,
    legs: dict[str, dict[str, list[ScoredDoc]]],
    models: tuple[str | None, str | None],
    emit: Emit,
) -> Callable[[str], EvaluationInputs]:
    """Freeze the candidates, run every system on them, and hand back the report's inputs but for its id."""
    champion_id, challenger_id = models
    candidates = freeze(readings, config.reranking.tribrid_reranker_topn)
    ws.store.candidates.put(candidates.sha256, corpus_id, {"depth": candidates.depth, "doc_ids": candidates.doc_ids})
    challenger = ws.learned(challenger_id, config) if challenger_id else None
    champion: Scorer | None = ws.learned(champion_id, config) if champion_id and champion_id != challenger_id else None
    local = ws.scorer(corpus_id, config) if config.reranking.reranker_mode == "local" else None
    settle_forms(ws, config, dataset, readings, [challenger, champion, local], emit)
    named: list[tuple[str, Scorer | None]] = [("challenger", challenger), ("champion", champion), ("local", local)]
    arms = [("base", base_scores), *ranks(named, challenger.reranker if challenger else None)]
    started = time.monotonic()
    found = run_arms(readings, arms, "challenger", time.perf_counter, lambda name, done, total: emit(
        "progress", {"stage": name, "done": done, "total": total}
    ))  # fmt: skip
    pairs = sum(len(reading.candidates) for reading in readings.values())
    cost = ws.local_cost("RERANK", "tribrid", pairs, round(time.monotonic() - started, 3))
    training = ws.store.models.get(challenger_id).manifest if challenger_id else {}
    texts = _training_queries(ws, training)
    systems = {**legs, "retrieval": retrieval_arm(readings), **found.systems}
    if champion_id is not None and champion_id == challenger_id and "challenger" in systems:
        systems["champion"] = systems["challenger"]
    after = "challenger" if challenger else "local" if local else None
    return lambda evaluation_id: EvaluationInputs(
        dataset=dataset,
        candidates=candidates,
        systems=systems,
        before="champion" if champion else "retrieval",
        after=after,
        config=config.evaluation,
        latency_ms=found.latency_ms,
        cost=cost | {"estimated": ws.estimate(JobKind.EVALUATE, corpus_id)},
        leakage=leakage(dataset.queries, texts, QueryMatcher(texts)) if texts else {},
        failed=found.failed,
        context=_context(corpus_id, evaluation_id, champion_id, challenger_id, training),
    )


def _context(
    corpus_id: str, evaluation_id: str, champion_id: str | None, challenger_id: str | None, training: Mapping[str, Any]
) -> dict[str, Any]:
    """What a report says of where it comes from."""
    return {
        "status": State.SUCCEEDED,
        "evaluation_id": evaluation_id,
        "corpus_id": corpus_id,
        "created_us": now_us(),
        "model_id": challenger_id,
        "champion_id": champion_id,
        "run_id": training.get("run_id"),
        "training": training.get("metrics"),
        "queries_url": f"/reranker/evaluations/{evaluation_id}/queries",
    }


def _training_queries(ws: Workspace, manifest: Mapping[str, Any]) -> list[str]:
    set_id = (manifest.get("data") or {}).get("triplet_set_id")
    return sorted({t.query for t in ws.store.triplets.load(set_id)}) if set_id else []


def newest_model(ws: Workspace, corpus_id: str, run_id: str | None) -> str | None:
    """The model of this run, or of the latest one that succeeded.

    Raises:
        EvaluationFailed: this run made no model; an older one is not taken in its place.
    """
    if run_id is not None:
        run = ws.store.jobs.get(run_id)
        if run.state is not State.SUCCEEDED:
            raise EvaluationFailed(
                f"The training {run_id} whose model was to be evaluated {run.state}: "
                f"{(run.problem or {}).get('detail', 'it made no model.')}",
                run_id=run_id,
                state=run.state,
            )
        return str((run.result or {})["model_id"])
    for job in ws.store.jobs.list(corpus_id, JobKind.TRAIN, [State.SUCCEEDED], 1):
        return str((job.result or {})["model_id"])
    return None


def eval_queries_of(ws: Workspace, corpus_id: str) -> tuple[JudgedQuery, ...]:
    """The queries of the eval dataset in force; none where there is no eval dataset."""
    if not ws.store.evalsets.versions(corpus_id):
        return ()
    return ws.store.evalsets.current(corpus_id).queries
