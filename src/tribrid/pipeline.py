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
from tribrid.errors import Leakage, NoModel, ScorerFailed, Unavailable
from tribrid.evaluation.arms import Readings, base_scores, freeze, ranks, retrieval_arm, run_arms
from tribrid.evaluation.leakage import leakage
from tribrid.evaluation.measures import evaluable
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.evaluation.report import EvaluationInputs, Report, build_report
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.mining.splits import QueryMatcher, query_clusters
from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.scoring.models import fingerprint, locate
from tribrid.scoring.scorer import Scorer, ranked
from tribrid.types import (
    LEGS,
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
            reading = ws.read(corpus_id, query, retrieved, config, depth)
            order = [*ranked(reading, scorer.score(reading)), *order[depth:]]
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
    from tribrid.training.lists import TrainingList, labels_by_query
    from tribrid.training.train import TrainingInputs
    from tribrid.training.train import train as train_model

    config = with_params(ws.config(corpus_id), "training", params)
    triplet_set = ws.store.triplets.latest(corpus_id)
    triplets = ws.store.triplets.load(triplet_set.triplet_set_id)
    refuse_leakage(ws, corpus_id, triplets)
    labels = labels_by_query(triplets)
    clusters = query_clusters([label.query for label in labels])
    readings = read_queries(ws, corpus_id, {label.query_id: label.query for label in labels}, config, emit)[0]
    lists = [
        TrainingList(label, cluster, readings[label.query_id].candidates, readings[label.query_id].passages,
                     readings[label.query_id].tokens)
        for label, cluster in zip(labels, clusters, strict=True)
        if readings[label.query_id].candidates
    ]  # fmt: skip
    base = locate(config.training.base_model)
    facts = {
        "corpus_id": corpus_id,
        "run_id": run_id,
        "base": {"model": config.training.base_model, "sha256": fingerprint(base)},
        "data": {"triplet_set_id": triplet_set.triplet_set_id, "sha256": _triplets_hash(triplets)},
        "retrieval": config.retrieval.model_dump(mode="json"),
        "reranking": config.reranking.model_dump(mode="json"),
    }
    inputs = TrainingInputs(
        lists, ws.statistics(corpus_id, config), base, config.reranking.rerank_input_snippet_chars, facts
    )
    trained = train_model(inputs, config.training, ws.run_dir(run_id), emit, cancelled)
    return _commit(ws, corpus_id, run_id, trained.folder, trained.manifest)


def evaluate(ws: Workspace, corpus_id: str, evaluation_id: str, params: Mapping[str, Any], emit: Emit) -> Report:
    """Compare before with after on the eval dataset's frozen candidates; the challenger is promoted if it won.

    Raises:
        NoEvalDataset: the corpus has none.
        EvaluationFailed: a needed system could not be run.
    """
    config = ws.config(corpus_id)
    dataset = ws.store.evalsets.current(corpus_id)
    queries = {query.query_id: query.text for query in evaluable(dataset.queries)}
    readings, legs = read_queries(ws, corpus_id, queries, config, emit)
    champion_id = ws.store.models.alias(corpus_id, "champion")
    challenger_id = params.get("model_id") or _newest(ws, corpus_id)
    inputs = _run_systems(ws, corpus_id, config, dataset, readings, legs, (champion_id, challenger_id), emit)
    report = build_report(inputs(evaluation_id))
    verdict = report.summary["verdict"]
    promoted = verdict["decision"] == "promote" and challenger_id is not None and challenger_id != champion_id
    report.summary["promoted"] = promoted
    ws.store.evaluations.put(evaluation_id, corpus_id, report.summary, report.queries)
    if promoted:
        promote(ws, corpus_id, str(challenger_id), "; ".join(verdict["reasons"]), evaluation_id)
    return report


def promote(ws: Workspace, corpus_id: str, model_id: str | None, reason: str, evaluation_id: str | None) -> str:
    """Make a model version the corpus's champion; searches use it from the next one on.

    Raises:
        NoModel: none was named and none was trained.
        ModelNotFound, ModelUnavailable: no such version, or its artifact does not load.
    """
    chosen = model_id or _newest(ws, corpus_id)
    if chosen is None:
        raise NoModel("No model has been trained for this corpus. Train one first.", corpus_id=corpus_id)
    ws.learned(chosen)  # loads, or is not promoted
    ws.store.models.promote(corpus_id, chosen, reason, evaluation_id)
    return chosen


# ------------------------------------------------------------------------------------------ steps of the verbs


def read_queries(
    ws: Workspace, corpus_id: str, queries: Mapping[str, str], config: Config, emit: Emit
) -> tuple[Readings, dict[str, dict[str, list[ScoredDoc]]]]:
    """Every query's candidates as they would be served, with their tokens; and each leg's own ranking."""
    depth = config.reranking.tribrid_reranker_topn
    retriever = ws.retriever(corpus_id, config)
    readings, legs = {}, {leg: {} for leg in LEGS}  # type: dict[str, Any], dict[str, dict[str, list[ScoredDoc]]]
    step = max(1, len(queries) // 20)
    for number, (query_id, text) in enumerate(queries.items(), 1):
        found = retriever.search(text, depth)
        readings[query_id] = ws.read(corpus_id, text, found, config, depth)
        for leg, run in found.leg_runs.items():
            legs[leg][query_id] = list(run)
        if number % step == 0:
            emit("progress", {"stage": "retrieval", "done": number, "total": len(queries)})
    return readings, legs


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


def _newest(ws: Workspace, corpus_id: str) -> str | None:
    """The model of the latest training that succeeded."""
    for job in ws.store.jobs.list(corpus_id, JobKind.TRAIN, [State.SUCCEEDED], 1):
        return str((job.result or {})["model_id"])
    return None


def _triplets_hash(triplets: Sequence[Triplet]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for t in triplets:
        digest.update(f"{t.query}\x1f{t.positive}\x1f{t.negative}\x1f{t.weight}\x1e".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


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
    challenger = ws.learned(challenger_id) if challenger_id else None
    champion: Scorer | None = ws.learned(champion_id) if champion_id and champion_id != challenger_id else None
    local = ws.scorer(corpus_id, config) if config.reranking.reranker_mode == "local" else None
    named: list[tuple[str, Scorer | None]] = [("challenger", challenger), ("champion", champion), ("local", local)]
    arms = [("base", base_scores), *ranks(named, challenger.reranker if challenger else None)]
    started = time.monotonic()
    found = run_arms(readings, arms, "challenger", lambda name, done, total: emit(
        "progress", {"stage": name, "done": done, "total": total}
    ))  # fmt: skip
    compute_s = round(time.monotonic() - started, 3)
    training = ws.store.models.get(challenger_id).manifest if challenger_id else {}
    texts = _training_queries(ws, training)
    systems = {**legs, "retrieval": retrieval_arm(readings), **found.systems}
    if champion_id is not None and champion_id == challenger_id:
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
        cost=dict(ws.local_cost("RERANK", "tribrid", len(readings), compute_s)),
        leakage=leakage(dataset.queries, texts, QueryMatcher(texts)) if texts else {},
        failed=found.failed,
        context={
            "status": State.SUCCEEDED,
            "evaluation_id": evaluation_id,
            "corpus_id": corpus_id,
            "created_us": now_us(),
            "model_id": challenger_id,
            "champion_id": champion_id,
            "run_id": training.get("run_id"),
            "training": training.get("metrics"),
            "queries_url": f"/reranker/evaluations/{evaluation_id}/queries",
        },
    )


def _training_queries(ws: Workspace, manifest: Mapping[str, Any]) -> list[str]:
    set_id = (manifest.get("data") or {}).get("triplet_set_id")
    return sorted({t.query for t in ws.store.triplets.load(set_id)}) if set_id else []


# ------------------------------------------------------------------------------------------ the verbs as jobs


def _mine_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    started = time.monotonic()
    triplet_set_id, mined = mine(ws, job.corpus_id, job.params, emit)
    cost = ws.local_cost("EMB", "all-MiniLM-L6-v2", 0, round(time.monotonic() - started, 3))
    return {"triplet_set_id": triplet_set_id, **mined.counts, "cost": dict(cost)}


def _train_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    started = time.monotonic()
    model = train(ws, job.corpus_id, job.job_id, job.params, emit, cancelled)
    cost = ws.local_cost("RERANK", "tribrid", 0, round(time.monotonic() - started, 3))
    return {"run_id": job.job_id, "model_id": model.model_id, "metrics": model.manifest["metrics"], "cost": dict(cost)}


def _evaluate_job(ws: Workspace, job: Job, emit: Emit, cancelled: Cancelled) -> dict[str, Any]:
    return evaluate(ws, job.corpus_id, job.job_id, job.params, emit).summary


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
