"""THE LINE: index → search → log → mine → train → evaluate → promote → serve. Each verb loads, calls, saves.

What decides anything is in the folders below (mining, training, evaluation, retrieval) and knows nothing of
databases or files. The last three verbs before `serve` run as jobs, in a process of their own: see HANDLERS.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from tribrid.config import Config, read_environment, with_params
from tribrid.errors import EvaluationFailed, EvaluationNotFound, Leakage, NoModel, ScorerFailed, Unavailable
from tribrid.evaluation.arms import Readings, base_scores, freeze, ranks, retrieval_arm, run_arms
from tribrid.evaluation.leakage import leakage
from tribrid.evaluation.measures import evaluable
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.evaluation.report import EvaluationInputs, build_report
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.mining.splits import QueryMatcher, query_clusters
from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.scoring.models import fingerprint, locate
from tribrid.scoring.scorer import Scorer, above, ranked
from tribrid.types import (
    Candidate,
    Emit,
    EvalDataset,
    Feedback,
    Impression,
    Job,
    JobKind,
    ModelVersion,
    ScoredDoc,
    ShownDoc,
    Signal,
    Source,
    State,
    Triplet,
)
from tribrid.workspace import Workspace, now_us

Cancelled = Callable[[], bool]


def index(ws: Workspace, corpus_id: str, emit: Emit) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed."""
    config = ws.config(corpus_id)
    return sync_index(
        fetch=lambda ids: ws.store.documents.get_many(corpus_id, ids),
        hashes=lambda: ws.store.documents.hashes(corpus_id),
        index=ws.index(corpus_id),
        embedder=ws.embedder(config),
        config=config.indexing,
        emit=emit,
    )


def search(ws: Workspace, corpus_id: str, query: str, top_k: int) -> tuple[Impression, list[Candidate]]:
    """Rank documents for a query and log what is shown, before anybody sees it.

    A reranker that fails leaves the fused order as it is, and the impression says so.
    """
    started = time.perf_counter()
    config = ws.config(corpus_id)
    depth = config.reranking.tribrid_reranker_topn
    retrieved = ws.retriever(corpus_id, config).search(query, max(depth, top_k))
    order = [ScoredDoc(c.doc_id, c.score) for c in retrieved.candidates]
    model_id, fallback = RETRIEVAL, None
    try:
        scorer = ws.scorer(corpus_id, config)
        if scorer is not None and retrieved.candidates:
            reading = ws.read(corpus_id, query, retrieved.candidates[:depth], config)
            order = above(ranked(reading, scorer.score(reading)), order[depth:])
            model_id = scorer.model_id
    except (ScorerFailed, Unavailable) as error:
        fallback = error.detail
    by_id = {c.doc_id: c for c in retrieved.candidates}
    shown = [by_id[scored.doc_id] for scored in order[:top_k]]
    impression = Impression(
        query_id=uuid4().hex,
        corpus_id=corpus_id,
        query=query,
        shown=tuple(
            ShownDoc(c.doc_id, rank, scored.score, c.passage.start, c.passage.end, c.legs)
            for rank, (c, scored) in enumerate(zip(shown, order, strict=False), 1)
        ),
        model_id=model_id,
        reranked=model_id != RETRIEVAL,
        fallback_reason=fallback,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
    )
    ws.store.logs.add_impression(impression)
    return impression, shown


def log(ws: Workspace, query_id: str, signal: Signal, doc_id: str | None, value: float | None) -> Feedback:
    """Join what a user did to what was shown.

    Raises:
        QueryNotFound: no impression has this query_id.
        NotShown: the document was not among what was shown.
    """
    feedback = Feedback(query_id, signal, doc_id, value, now_us())
    ws.store.logs.add_feedback(feedback)
    return feedback


def mine(ws: Workspace, corpus_id: str, params: Mapping[str, Any], emit: Emit) -> tuple[str, Mined]:
    """Mine triplets and store them as a new set."""
    config = with_params(ws.config(corpus_id), "mining", {k: v for k, v in params.items() if k != "sources"})
    retriever, index_ = ws.retriever(corpus_id, config), ws.index(corpus_id)
    inputs = MiningInputs(
        known=lambda ids: ws.store.documents.exists(corpus_id, ids),
        passages_of=index_.passages_of,
        impressions=ws.store.logs.iterate_with_feedback(corpus_id),
        judged=ws.store.judgments.list(corpus_id),
        documents=lambda: ws.store.documents.iterate(corpus_id),
        eval_queries=[query.text for query in _eval_queries(ws, corpus_id)],
        sources=[Source(name) for name in params.get("sources") or tuple(Source)],
    )
    depth = max(config.mining.negative_depth, config.reranking.tribrid_reranker_topn)
    mined = mine_triplets(inputs, lambda query: retriever.retrieve(query, depth), config.mining, emit)
    stored = ws.store.triplets.put(corpus_id, dict(params), mined.counts, mined.triplets)
    return stored.triplet_set_id, mined


def train(
    ws: Workspace, corpus_id: str, run_id: str, params: Mapping[str, Any], emit: Emit, cancelled: Cancelled
) -> ModelVersion:
    """Train on the newest triplets; the artifact is committed under the hash of its content.

    Raises:
        NoTriplets: nothing was mined, or nothing that teaches an order.
        Leakage: a training query is, or nearly is, one of the eval dataset's.
        TrainingFailed, Cancelled: as `training.train`.
    """
    # Imported here: serving must not load what only training needs.
    from tribrid.training.lists import TrainingList, labels_by_query, triplets_sha256
    from tribrid.training.train import TrainingInputs
    from tribrid.training.train import train as train_model

    for model in ws.store.models.list(corpus_id):
        if model.run_id == run_id:  # killed between the model's commit and the run's end
            return model
    config = with_params(ws.config(corpus_id), "training", params)
    triplet_set = ws.store.triplets.latest(corpus_id)
    triplets = ws.store.triplets.load(triplet_set.triplet_set_id)
    refuse_leakage(ws, corpus_id, triplets)
    labels = labels_by_query(triplets)
    clusters = query_clusters([label.query for label in labels])
    readings = ws.read_queries(corpus_id, {label.query_id: label.query for label in labels}, config, emit)[0]
    snippet_chars = config.reranking.rerank_input_snippet_chars
    lists = [
        TrainingList(
            label, cluster, reading.candidates, [p.cut(snippet_chars) for p in reading.passages], reading.tokens
        )
        for label, cluster in zip(labels, clusters, strict=True)
        if (reading := readings[label.query_id]).candidates
    ]
    base = locate(config.training.base_model)
    facts = {
        "corpus_id": corpus_id,
        "run_id": run_id,
        "base": {"model": config.training.base_model, "sha256": fingerprint(base)},
        "data": {"triplet_set_id": triplet_set.triplet_set_id, "sha256": triplets_sha256(triplets)},
        "encoder": ws.embedder(config).fingerprint,
        "retrieval": config.retrieval.model_dump(mode="json"),
        "reranking": config.reranking.model_dump(mode="json"),
    }
    inputs = TrainingInputs(lists, ws.statistics(corpus_id, config), base, snippet_chars, facts)
    trained = train_model(inputs, config.training, ws.run_dir(run_id), emit, cancelled)
    return _commit(ws, corpus_id, run_id, trained.folder, trained.manifest)


def evaluate(
    ws: Workspace, corpus_id: str, evaluation_id: str, params: Mapping[str, Any], emit: Emit
) -> Mapping[str, Any]:
    """Compare before with after on the eval dataset's frozen candidates; the challenger is promoted if it won.

    Raises:
        NoEvalDataset: the corpus has none.
        EvaluationFailed: a needed system could not be run, or the training that it waited for made no model.
    """
    try:
        summary = ws.store.evaluations.get(evaluation_id)  # killed after the report was stored: it stands
    except EvaluationNotFound:
        summary = _compare(ws, corpus_id, evaluation_id, params, emit)
    if summary["promoted"]:
        promote(ws, corpus_id, summary["model_id"], "; ".join(summary["verdict"]["reasons"]), evaluation_id)
    return summary


def promote(ws: Workspace, corpus_id: str, model_id: str | None, reason: str, evaluation_id: str | None) -> str:
    """Make a model version the corpus's champion; searches use it from the next one on.

    Raises:
        NoModel: none was named and none was trained.
        ModelNotFound, ModelUnavailable: no such version, or its artifact does not load.
    """
    chosen = model_id or _newest(ws, corpus_id, None)
    if chosen is None:
        raise NoModel("No model has been trained for this corpus. Train one first.", corpus_id=corpus_id)
    ws.learned(chosen, ws.config(corpus_id))  # loads, or is not promoted
    ws.store.models.promote(corpus_id, chosen, reason, evaluation_id)
    return chosen


# ------------------------------------------------------------------------------------------ steps of the verbs


def refuse_leakage(ws: Workspace, corpus_id: str, triplets: Sequence[Triplet]) -> None:
    """Check the training queries against the eval dataset.

    Raises:
        Leakage: naming the eval dataset's queries that are among them.
    """
    eval_queries = _eval_queries(ws, corpus_id)
    texts = sorted({triplet.query for triplet in triplets})
    found = leakage(eval_queries, texts, QueryMatcher(texts)) if eval_queries else {"overlapping": []}
    if found["overlapping"]:
        raise Leakage(
            f"{len(found['overlapping'])} queries of the eval dataset, or near-duplicates, are among the training "
            "queries. Mine again: mining leaves out what the current eval dataset asks.",
            overlapping=found["overlapping"][:20],
            overlapping_total=len(found["overlapping"]),
        )


def _eval_queries(ws: Workspace, corpus_id: str) -> tuple[Any, ...]:
    if not ws.store.evalsets.versions(corpus_id):
        return ()
    return ws.store.evalsets.current(corpus_id).queries


def _compare(
    ws: Workspace, corpus_id: str, evaluation_id: str, params: Mapping[str, Any], emit: Emit
) -> dict[str, Any]:
    """The report, stored; `promoted` says whether the challenger won its place."""
    config = ws.config(corpus_id)
    dataset = ws.store.evalsets.current(corpus_id)
    queries = {query.query_id: query.text for query in evaluable(dataset.queries)}
    challenger_id = params.get("model_id") or _newest(ws, corpus_id, params.get("run_id"))
    champion_id = ws.store.models.alias(corpus_id, "champion")
    readings, legs = ws.read_queries(corpus_id, queries, config, emit)
    inputs = _run_systems(ws, corpus_id, config, dataset, readings, legs, (champion_id, challenger_id), emit)
    report = build_report(inputs(evaluation_id))
    won = report.summary["verdict"]["decision"] == "promote"
    report.summary["promoted"] = won and challenger_id is not None and challenger_id != champion_id
    ws.store.evaluations.put(evaluation_id, corpus_id, report.summary, report.queries)
    return report.summary


def _newest(ws: Workspace, corpus_id: str, run_id: str | None) -> str | None:
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


def _commit(ws: Workspace, corpus_id: str, run_id: str, folder: Path, manifest: Mapping[str, Any]) -> ModelVersion:
    staged = ws.store.artifacts.stage()
    shutil.copytree(folder, staged, dirs_exist_ok=True)
    digest = ws.store.artifacts.commit(staged)
    model = ModelVersion(digest[:16], corpus_id, run_id, digest, manifest, now_us())
    ws.store.models.put(model)
    shutil.rmtree(ws.run_dir(run_id), ignore_errors=True)
    return model


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


# ------------------------------------------------------------------------------------------ the verbs as jobs


def _mine_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    estimated, started = ws.estimate(job.kind, job.corpus_id), time.monotonic()
    triplet_set_id, mined = mine(ws, job.corpus_id, job.params, emit)
    model, took_s = ws.config(job.corpus_id).indexing.embedding_model, round(time.monotonic() - started, 3)
    cost = ws.local_cost("EMB", model, mined.counts["queries_retrieved"], took_s, "query")
    return {"triplet_set_id": triplet_set_id, **mined.counts, "cost": cost | {"estimated": estimated}}


def _train_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    estimated, started = ws.estimate(job.kind, job.corpus_id), time.monotonic()
    model = train(ws, job.corpus_id, job.job_id, job.params, emit, cancelled)
    metrics, took_s = model.manifest["metrics"], round(time.monotonic() - started, 3)
    cost = ws.local_cost("RERANK", "tribrid", metrics["pairs"], took_s) | {"estimated": estimated}
    return {"run_id": job.job_id, "model_id": model.model_id, "metrics": metrics, "cost": cost}


def _evaluate_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    return dict(evaluate(ws, job.corpus_id, job.job_id, job.params, emit))


def _handler(
    work: Callable[[Workspace, Job, Emit, Cancelled], dict[str, Any]],
) -> Callable[[Job, Path, Emit, Cancelled], dict[str, Any]]:
    def run(job: Job, data_dir: Path, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
        ws = Workspace(read_environment().model_copy(update={"data_dir": data_dir}))
        try:
            return {"status": State.SUCCEEDED, "job_id": job.job_id, **work(ws, job, emit, cancelled)}
        finally:
            ws.close()

    return run


HANDLERS = {
    JobKind.MINE: _handler(_mine_job),
    JobKind.TRAIN: _handler(_train_job),
    JobKind.EVALUATE: _handler(_evaluate_job),
}
"""How each kind of job is done; looked up by the process that runs a job."""
