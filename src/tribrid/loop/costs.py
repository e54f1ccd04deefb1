"""What a job will cost, told before it runs, and what it did cost: dollars, and seconds of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal

from tribrid.cloud.prices import Kind
from tribrid.cloud.purse import with_services
from tribrid.errors import NoTriplets
from tribrid.loop import generation
from tribrid.types import JobKind, JudgedQuery, Source
from tribrid.workspace import Workspace

SECONDS_PER_QUERY = {JobKind.MINE: 0.03, JobKind.TRAIN: 0.5, JobKind.EVALUATE: 0.3}
"""Measured on two cores (docs/benchmarks.md); only for the estimate before a job, its result says what it took."""
NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


def estimate(ws: Workspace, kind: JobKind, corpus_id: str, params: Mapping[str, Any] = NO_PARAMS) -> dict[str, Any]:
    """What a job with these parameters will cost."""
    config = ws.config(corpus_id)
    asked: Sequence[JudgedQuery] = ()
    queries = params.get("max_pairs", config.mining.max_pairs)
    if kind is JobKind.EVALUATE and ws.store.evalsets.versions(corpus_id):
        asked = ws.store.evalsets.current(corpus_id).queries
        queries = len(asked)
    elif kind is JobKind.TRAIN:
        with suppress(NoTriplets):  # mined meanwhile: the setting is the best guess
            queries = ws.store.triplets.latest(corpus_id).counts.get("queries", queries)
    seconds = round(SECONDS_PER_QUERY[kind] * queries, 1)
    if kind is JobKind.MINE:
        local = local_cost(ws, "EMB", config.indexing.embedding_model, queries, seconds, "query")
        asks = Source.HEURISTICS in (params.get("sources") or tuple(Source))
        return generation.with_generation(local, generation.estimate(config, ws.prices, queries) if asks else None)
    local = local_cost(ws, "RERANK", "tribrid", queries * config.reranking.tribrid_reranker_topn, seconds)
    if kind is JobKind.EVALUATE:
        chars = min(config.indexing.passage_chars, config.reranking.rerank_input_snippet_chars)
        query_chars = [len(query.text) for query in asked if query.has_positive]
        arms = [arm for arm in params.get("arms", ()) if arm["kind"] == "cloud"]
        return with_services(local, ws.clouds.estimate(config.reranking, arms, query_chars, chars))
    return local


def local_cost(
    ws: Workspace, kind: Kind, model: str, units: int, compute_s: float, unit: Literal["pair", "query"] = "pair"
) -> dict[str, Any]:
    """The cost entry of work done on this machine: 0 dollars, its seconds, and how much was done.

    Args:
        units: pairs of query and passage read, or queries retrieved.
    """
    return {**ws.prices.estimate(kind, model, units, provider="local", compute_s=compute_s), "unit": unit}


def check_services(ws: Workspace, corpus_id: str, params: Mapping[str, Any]) -> None:
    """Whether an evaluation with these parameters can ask and pay for its rerank services.

    Raises:
        ModelUnavailable: mode cloud serves and cannot be asked.
        BudgetSpent: they would cost more than is left.
    """
    config = ws.config(corpus_id)
    if config.reranking.reranker_mode == "cloud":
        ws.rival(corpus_id, config)
    estimated = estimate(ws, JobKind.EVALUATE, corpus_id, params)
    ws.clouds.check_budget(corpus_id, config.reranking, ws.config().reranking, estimated)
