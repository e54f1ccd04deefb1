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

import numpy as np

from tribrid.asking import asker
from tribrid.comparing import compare_systems, eval_queries_of, kept_out, newest_model, prove, refuse_leakage
from tribrid.config import Config, with_params
from tribrid.errors import Erased, EvaluationNotFound, ModelNotFound, NoModel
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.experiment import interleave
from tribrid.given import GivenQuery, Reranked, first_stage_calibration, read_given, score_apart, shown_of
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.retrieval.indexer import IndexReport, sync_index
from tribrid.scoring.budget import Budget
from tribrid.scoring.calibration import AnyCalibration
from tribrid.scoring.models import fingerprint, locate
from tribrid.scoring.scorer import Scorer
from tribrid.serving import Candidates, Ranking, served
from tribrid.store.database import now_us
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
from tribrid.version import __version__, source_sha256
from tribrid.workspace import Workspace


def index(ws: Workspace, corpus_id: str, emit: Emit, *, purge: bool = False) -> IndexReport:
    """Bring the corpus's index in line with its stored documents; embeds only what changed.

    Args:
        purge: leave no file that holds what was deleted.
    """
    config = ws.config(corpus_id)
    return sync_index(
        fetch=lambda ids: ws.store.documents.get_many(corpus_id, ids),
        hashes=lambda: ws.store.documents.hashes(corpus_id),
        index=ws.index(corpus_id),
        embedder=ws.embedder(config),
        config=config.indexing,
        emit=emit,
        purge=purge,
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
    started, query_id = time.perf_counter(), uuid4().hex
    config, budget = ws.config(corpus_id), budget or Budget()
    retrieved = ws.retriever(corpus_id, config).search(query, max(config.reranking.tribrid_reranker_topn, top_k))
    budget.check()
    candidates = Candidates(ws, corpus_id, query, retrieved.candidates, config, budget)
    ranking = served(ws, corpus_id, candidates.fused, lambda: ws.scorer(corpus_id, config), candidates.ranked)
    ranking = interleave(ws, corpus_id, config, query_id, ranking, candidates.ranked, top_k)
    budget.check()
    by_id = {c.doc_id: c for c in retrieved.candidates}
    shown = [by_id[scored.doc_id] for scored in ranking.order[:top_k]]
    impression = Impression(
        query_id=query_id,
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
        trial=ranking.trial,
    )
    ws.store.logs.add_impression(impression)
    ws.store.experiments.join(impression)
    return Found(impression, shown, ranking)


def rerank(
    ws: Workspace,
    corpus_id: str,
    asked: GivenQuery,
    choose: Callable[[Config], Scorer | None],
    budget: Budget | None = None,
) -> Reranked:
    """Order documents that were retrieved elsewhere as a search of the corpus would, and log what is answered.

    Where nobody reranks, and where the reranker fails, the order is that of the first stage's fused score.

    Args:
        choose: who reranks; None for nobody.

    Raises:
        InvalidInput: documents that are to be read whole are too long. Overloaded, Cancelled: as `search`.
    """
    started, config, budget = time.perf_counter(), ws.config(corpus_id), budget or Budget()
    given = read_given(ws, corpus_id, asked.text, asked.documents, config, asked.chunks, budget)
    asked.accept(given.partly)
    calibration: AnyCalibration = first_stage_calibration(config.retrieval)

    def by(scorer: Scorer) -> Ranking:
        nonlocal calibration
        ranking = given.ranked(scorer, config, budget)
        calibration = scorer.calibration
        return ranking

    ranking = served(ws, corpus_id, given.first_stage(), lambda: choose(config), by)
    budget.check()
    placed = given.placed(ranking.order)
    impression = Impression(
        query_id=uuid4().hex,
        corpus_id=corpus_id,
        query=asked.text,
        shown=shown_of(asked, given, placed),
        model_id=ranking.model_id or RETRIEVAL,
        reranked=ranking.model_id is not None,
        fallback_reason=ranking.fallback.detail if ranking.fallback else None,
        took_ms=round((time.perf_counter() - started) * 1000, 3),
        created_us=now_us(),
        source="rerank",
        client_id=asked.client_id,
        given=tuple(document.doc_id for document in asked.documents),
    )
    ws.store.logs.add_impression(impression)
    probabilities = calibration.probabilities(np.array([score for _, score in placed])).tolist()
    id_, why, took_ms = impression.query_id, impression.fallback_reason, impression.took_ms
    code = ranking.fallback.code if ranking.fallback else None
    return Reranked(id_, placed, probabilities, impression.model_id, why, given.partly, took_ms, ranking.note, code)


def rerank_apart(ws: Workspace, asked: GivenQuery, scorer: Scorer, budget: Budget | None = None) -> Reranked:
    """Order documents by a scorer that no corpus stands behind. Nothing is logged, so nothing can be learned from it.

    There is no other order to answer with, so everything is read, however long it takes.

    Raises:
        ScorerFailed, Unavailable, Overloaded, Cancelled.
        InvalidInput: as `rerank`.
    """
    started = time.perf_counter()
    config, budget = ws.config(), budget or Budget()
    budget.limit(None)
    if scorer.cross_encoder is not None:  # reads the texts alone
        placed, partly = score_apart(scorer, asked.text, asked.documents, config, asked.chunks, budget)
    else:
        given = read_given(ws, None, asked.text, asked.documents, config, asked.chunks, budget)
        placed, partly = given.placed(given.reranked(scorer, len(asked.documents), budget)), given.partly
    asked.accept(partly)
    probabilities = scorer.calibration.probabilities(np.array([score for _, score in placed])).tolist()
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    return Reranked(None, placed, probabilities, scorer.model_id, None, partly, took_ms)


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
    """Mine triplets and store them as a new set.

    Raises:
        Erased: something was erased meanwhile, which may have been read.
    """
    erasures = ws.store.erasures.count(corpus_id)
    _catch_up(ws, corpus_id, emit)
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
    stored = ws.store.triplets.put(corpus_id, dict(params), mined.counts, mined.triplets, erasures)
    return stored.triplet_set_id, mined


def train(
    ws: Workspace, corpus_id: str, run_id: str, params: Mapping[str, Any], emit: Emit, cancelled: Callable[[], bool]
) -> ModelVersion:
    """Train on the newest triplets; the artifact is committed under the hash of its content.

    Raises:
        NoTriplets: nothing was mined, or nothing that teaches an order.
        Leakage: a training query is, or nearly is, one of the eval dataset's.
        TrainingFailed, Cancelled: as `training.train`.
        Erased: some of the triplets were erased meanwhile.
    """
    # Imported here: serving must not load what only training needs.
    from tribrid.teaching import read_triplets
    from tribrid.training.lists import triplets_sha256
    from tribrid.training.resources import Pace
    from tribrid.training.train import TrainingInputs
    from tribrid.training.train import train as train_model

    for model in ws.store.models.list(corpus_id):
        if model.run_id == run_id:  # killed between the model's commit and the run's end
            return model
    config = with_params(ws.config(corpus_id), "training", params)
    pace = Pace(config.training.time_budget_s)
    triplet_set = ws.store.triplets.latest(corpus_id)
    erased = ws.store.triplets.erased(triplet_set.triplet_set_id)
    triplets = ws.store.triplets.load(triplet_set.triplet_set_id)
    refuse_leakage(ws, corpus_id, triplets)
    taught = read_triplets(ws, corpus_id, triplets, config, pace, emit)
    base = locate(config.training.base_model)
    facts = _lineage(ws, corpus_id, config, base) | {
        "run_id": run_id,
        "data": {"triplet_set_id": triplet_set.triplet_set_id, "sha256": triplets_sha256(triplets)},
    }
    inputs = TrainingInputs(
        lists=taught.lists,
        statistics=taught.statistics,
        base=base,
        snippet_chars=config.reranking.rerank_input_snippet_chars,
        facts=facts,
        newest=taught.newest,
        pace=pace,
        past=taught.past,
    )
    trained = train_model(inputs, config.training, ws.run_dir(run_id), emit, cancelled)
    _refuse_erased(ws, triplet_set.triplet_set_id, erased, run_id)
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
        if ws.index(corpus_id).count() == 0:
            _catch_up(ws, corpus_id, emit)
        summary = compare_systems(ws, corpus_id, evaluation_id, params, emit)
    if summary["promoted"]:
        ws.learned(summary["model_id"], ws.config(corpus_id))  # loads, or is not promoted
        reasons = " ".join(summary["verdict"]["reasons"])
        over = summary["champion_id"]
        ws.store.models.promote(corpus_id, summary["model_id"], reasons, evaluation_id, "gate", over)
    return summary


def promote(ws: Workspace, corpus_id: str, model_id: str | None, reason: str, *, force: bool) -> str:
    """Make a model version the corpus's champion on a person's word; searches use it from the next one on.

    Args:
        force: it need not have been shown to be better than what serves now.

    Raises:
        NoModel: none was named and none was trained.
        ModelNotFound, ModelUnavailable: no such version, or its artifact does not load.
        NotProven: without force, and no evaluation shows that it is better than what serves now.
        Conflict: another champion came to serve meanwhile.
    """
    models = ws.store.models
    chosen = model_id or newest_model(ws, corpus_id, None)
    if chosen is None:
        raise NoModel("No model has been trained for this corpus. Train one first.", corpus_id=corpus_id)
    if models.get(chosen).corpus_id != corpus_id:
        raise ModelNotFound(f"Corpus {corpus_id!r} has no model {chosen!r}.", model_id=chosen)
    ws.learned(chosen, ws.config(corpus_id))  # loads, or is not promoted
    champion = models.alias(corpus_id, "champion")
    if force:
        models.promote(corpus_id, chosen, reason, None, "force")
    elif chosen != champion:
        evaluation_id, reasons = prove(ws, corpus_id, chosen, champion)
        models.promote(corpus_id, chosen, reason or " ".join(reasons), evaluation_id, "hand", champion)
    return chosen


# ------------------------------------------------------------------------------------------ steps of the verbs


def _catch_up(ws: Workspace, corpus_id: str, emit: Emit) -> None:
    """Index what was stored without being indexed: documents that came with a rerank."""
    if ws.index(corpus_id).doc_hashes() != ws.store.documents.hashes(corpus_id):
        index(ws, corpus_id, emit)


def _lineage(ws: Workspace, corpus_id: str, config: Config, base: Path) -> dict[str, Any]:
    """What a model's manifest says of where it comes from, besides its run and its data."""
    return {
        "corpus_id": corpus_id,
        "base": {"model": config.training.base_model, "sha256": fingerprint(base)},
        "encoder": ws.embedder(config).fingerprint,
        "retrieval": config.retrieval.model_dump(mode="json"),
        "reranking": config.reranking.model_dump(mode="json"),
        "corpus_version": ws.store.corpora.get(corpus_id).version,
        "kept_out": kept_out(ws, corpus_id),
        "code": {"version": __version__, "sha256": source_sha256()},
    }


def _refuse_erased(ws: Workspace, triplet_set_id: str, erased: int, run_id: str) -> None:
    """Let nothing be kept that was trained on what is erased by now."""
    if ws.store.triplets.erased(triplet_set_id) != erased:
        raise Erased(
            "Some of what this model was trained on was erased while it was trained, so it is not kept. Train again.",
            run_id=run_id,
        )


def _commit(ws: Workspace, corpus_id: str, run_id: str, folder: Path, manifest: Mapping[str, Any]) -> ModelVersion:
    staged = ws.store.artifacts.stage()
    shutil.copytree(folder, staged, dirs_exist_ok=True)
    digest = ws.store.artifacts.commit(staged)
    model = ModelVersion(digest[:16], corpus_id, run_id, digest, manifest, now_us())
    ws.store.models.put(model)
    shutil.rmtree(ws.run_dir(run_id), ignore_errors=True)
    return model
