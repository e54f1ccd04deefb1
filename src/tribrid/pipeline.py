"""THE LINE: index → search → log → mine → train → evaluate → promote → serve. Each verb loads, calls, saves.

What decides anything is in the folders below (mining, training, evaluation, retrieval) and knows nothing of
databases or files. `mine`, `train` and `evaluate` run as jobs, in a process of their own: see handlers.py.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from tribrid.asking import asker
from tribrid.comparing import compare_systems, eval_queries_of, newest_model, refuse_leakage
from tribrid.config import with_params
from tribrid.errors import EvaluationNotFound, NoModel
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.mining.splits import newest_clusters, query_clusters
from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.scoring.budget import Budget
from tribrid.scoring.models import fingerprint, locate
from tribrid.serving import Ranking, rerank
from tribrid.types import (
    Candidate,
    Emit,
    Feedback,
    Impression,
    ModelVersion,
    ShownDoc,
    Signal,
    Source,
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


class Found(NamedTuple):
    """A search's list as it is logged, its candidates in the same order, and how they were ranked."""

    impression: Impression
    shown: list[Candidate]
    ranking: Ranking


def search(
    ws: Workspace,
    corpus_id: str,
    query: str,
    top_k: int,
    client_id: str | None = None,
    budget: Budget | None = None,
) -> Found:
    """Rank documents for a query and log what is shown, before anybody sees it.

    A reranker that fails leaves the fused order as it is, and the impression says so.

    Raises:
        Overloaded: the reranker has too much to do.
        Cancelled: whoever asked is gone; nothing is logged, for nobody saw it.
    """
    started = time.perf_counter()
    config = ws.config(corpus_id)
    depth = max(config.reranking.tribrid_reranker_topn, top_k)
    retrieved = ws.retriever(corpus_id, config).search(query, depth)
    budget = budget or Budget()
    budget.check()
    ranking = rerank(ws, corpus_id, query, retrieved.candidates, config, budget)
    budget.check()
    by_id = {c.doc_id: c for c in retrieved.candidates}
    shown = [by_id[scored.doc_id] for scored in ranking.order[:top_k]]
    impression = Impression(
        query_id=uuid4().hex,
        corpus_id=corpus_id,
        query=query,
        shown=tuple(
            ShownDoc(c.doc_id, rank, scored.score, c.passage.start, c.passage.end, c.legs)
            for rank, (c, scored) in enumerate(zip(shown, ranking.order, strict=False), 1)
        ),
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id is not None,
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
        client_id=client_id,
    )
    ws.store.logs.add_impression(impression)
    return Found(impression, shown, ranking)


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
    documents = partial(ws.store.documents.iterate, corpus_id)
    inputs = MiningInputs(
        known=lambda ids: ws.store.documents.exists(corpus_id, ids),
        passages_of=index_.passages_of,
        places_of=partial(ws.store.documents.places, corpus_id),
        reviews=ws.store.reviews.list(corpus_id),
        impressions=ws.store.logs.iterate_with_feedback(corpus_id),
        fell_back=ws.store.logs.fallbacks_with_feedback(corpus_id),
        judged=ws.store.judgments.list(corpus_id),
        documents=documents,
        generated=asker(ws.environment, config.generation, ws.prices, documents, index_.passages_of, emit),
        eval_queries=[query.text for query in eval_queries_of(ws, corpus_id)],
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
    newest = newest_clusters(clusters, [label.observed_us for label in labels], 1 / config.training.folds)
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
    inputs = TrainingInputs(lists, ws.statistics(corpus_id, config), base, snippet_chars, facts, newest)
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
        summary = compare_systems(ws, corpus_id, evaluation_id, params, emit)
    if summary["promoted"]:
        promote(ws, corpus_id, summary["model_id"], "; ".join(summary["verdict"]["reasons"]), evaluation_id)
    return summary


def promote(ws: Workspace, corpus_id: str, model_id: str | None, reason: str, evaluation_id: str | None) -> str:
    """Make a model version the corpus's champion; searches use it from the next one on.

    Raises:
        NoModel: none was named and none was trained.
        ModelNotFound, ModelUnavailable: no such version, or its artifact does not load.
    """
    chosen = model_id or newest_model(ws, corpus_id, None)
    if chosen is None:
        raise NoModel("No model has been trained for this corpus. Train one first.", corpus_id=corpus_id)
    ws.learned(chosen, ws.config(corpus_id))  # loads, or is not promoted
    ws.store.models.promote(corpus_id, chosen, reason, evaluation_id)
    return chosen


# ------------------------------------------------------------------------------------------ steps of the verbs


def _commit(ws: Workspace, corpus_id: str, run_id: str, folder: Path, manifest: Mapping[str, Any]) -> ModelVersion:
    staged = ws.store.artifacts.stage()
    shutil.copytree(folder, staged, dirs_exist_ok=True)
    digest = ws.store.artifacts.commit(staged)
    model = ModelVersion(digest[:16], corpus_id, run_id, digest, manifest, now_us())
    ws.store.models.put(model)
    shutil.rmtree(ws.run_dir(run_id), ignore_errors=True)
    return model
