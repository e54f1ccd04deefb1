"""What a job will cost, told before it runs, and what it did cost: dollars, and seconds of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal

from tribrid.answers.costs import CostEstimate
from tribrid.cloud.prices import Kind
from tribrid.cloud.purse import with_services
from tribrid.errors import NoTriplets
from tribrid.loop import generation
from tribrid.types import JobKind, JudgedQuery, Source
from tribrid.workspace.corpus import OpenCorpus

SECONDS_PER_QUERY = {JobKind.MINE: 0.03, JobKind.TRAIN: 0.5, JobKind.EVALUATE: 0.3}
"""Measured on two cores (docs/benchmarks.md); only for the estimate before a job, its result says what it took."""
Params = Mapping[str, Any]
"""A job's parameters: JSON."""
NO_PARAMS: Params = MappingProxyType({})


def estimate(corpus: OpenCorpus, kind: JobKind, params: Params = NO_PARAMS) -> CostEstimate:
    """What a job with these parameters will cost."""
    return CostEstimate.model_validate(_estimate(corpus, kind, params))


def _estimate(corpus: OpenCorpus, kind: JobKind, params: Params) -> dict[str, Any]:
    config = corpus.config
    asked: Sequence[JudgedQuery] = ()
    queries = params.get("max_pairs", config.mining.max_pairs)
    if kind is JobKind.EVALUATE and corpus.store.evalsets.versions(corpus.corpus_id):
        asked = corpus.store.evalsets.current(corpus.corpus_id).queries
        queries = len(asked)
    elif kind is JobKind.TRAIN:
        with suppress(NoTriplets):  # mined meanwhile: the setting is the best guess
            queries = corpus.store.triplets.latest(corpus.corpus_id).counts.get("queries", queries)
    seconds = round(SECONDS_PER_QUERY[kind] * queries, 1)
    if kind is JobKind.MINE:
        local = local_cost(corpus, "EMB", config.indexing.embedding_model, queries, seconds, "query")
        asks = Source.HEURISTICS in (params.get("sources") or tuple(Source))
        asked_for = generation.estimate(config, corpus.folder.prices, queries) if asks else None
        return generation.with_generation(local, asked_for)
    local = local_cost(corpus, "RERANK", "tribrid", queries * config.reranking.tribrid_reranker_topn, seconds)
    if kind is JobKind.EVALUATE:
        chars = min(config.indexing.passage_chars, config.reranking.rerank_input_snippet_chars)
        query_chars = [len(query.text) for query in asked if query.has_positive]
        arms = [arm for arm in params.get("arms", ()) if arm["kind"] == "cloud"]
        return with_services(local, corpus.folder.clouds.estimate(config.reranking, arms, query_chars, chars))
    return local


def local_cost(
    corpus: OpenCorpus, kind: Kind, model: str, units: int, compute_s: float, unit: Literal["pair", "query"] = "pair"
) -> dict[str, Any]:
    """The cost entry of work done on this machine: 0 dollars, its seconds, and how much was done.

    Args:
        units: pairs of query and passage read, or queries retrieved.
    """
    return {**corpus.folder.prices.estimate(kind, model, units, provider="local", compute_s=compute_s), "unit": unit}


def check_services(corpus: OpenCorpus, params: Params) -> None:
    """Whether an evaluation with these parameters can ask and pay for its rerank services.

    Raises:
        ModelUnavailable: mode cloud serves and cannot be asked.
        BudgetSpent: they would cost more than is left.
    """
    config = corpus.config
    if config.reranking.reranker_mode == "cloud":
        corpus.rival()
    estimated = _estimate(corpus, JobKind.EVALUATE, params)
    corpus.folder.clouds.check_budget(corpus.corpus_id, config.reranking, corpus.folder.config().reranking, estimated)
