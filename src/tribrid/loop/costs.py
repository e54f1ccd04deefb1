"""What a job will cost, told before it runs, and what it did cost: dollars, and seconds of this machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Literal

from tribrid.answers.costs import Cost, CostEstimate
from tribrid.cloud.clouds import ServiceArm
from tribrid.cloud.prices import CHARS_PER_TOKEN, LOCAL, Kind, together
from tribrid.errors import NoTriplets
from tribrid.evaluation.answerable import is_answerless
from tribrid.loop import generation
from tribrid.loop.asking import Tariff
from tribrid.loop.params import Arm, EvaluateParams, JudgeParams, MineParams
from tribrid.mining.judge import Question
from tribrid.types import JobKind, Source
from tribrid.workspace.corpus import OpenCorpus

SECONDS_PER_QUERY = {JobKind.MINE: 0.03, JobKind.TRAIN: 0.5, JobKind.EVALUATE: 0.3, JobKind.JUDGE: 0.3}
"""Measured on two cores (docs/benchmarks.md); only for the estimate before a job, its result says what it took."""
GRADE_TOKENS = 30
"""A grade with its reason, for the estimate."""
NO_PARAMS: Mapping[str, object] = MappingProxyType({})


def estimate(corpus: OpenCorpus, kind: JobKind, params: Mapping[str, object] = NO_PARAMS) -> CostEstimate:
    """What a job with these parameters will cost."""
    if kind is JobKind.MINE:
        return _of_mining(corpus, MineParams.model_validate(params))
    if kind is JobKind.EVALUATE:
        return _of_evaluation(corpus, EvaluateParams.model_validate(params).arms)
    if kind is JobKind.JUDGE:
        return _of_judging(corpus, JudgeParams.model_validate(params))
    queries = corpus.config.mining.max_pairs
    with suppress(NoTriplets):  # mined meanwhile: the setting is the best guess
        queries = corpus.store.triplets.latest(corpus.corpus_id).counts.get("queries", queries)
    return together(CostEstimate, _reading(corpus, kind, queries))


def _of_mining(corpus: OpenCorpus, params: MineParams) -> CostEstimate:
    config = corpus.with_params("mining", params.settings).config
    queries = config.mining.max_pairs
    seconds = round(SECONDS_PER_QUERY[JobKind.MINE] * queries, 1)
    local = local_cost(corpus, "EMB", config.indexing.embedding_model, queries, seconds, "query")
    asks = Source.HEURISTICS in (params.sources or tuple(Source))
    return together(
        CostEstimate,
        local,
        generation=generation.estimate(config, corpus.folder.prices, queries) if asks else None,
    )


def _of_judging(corpus: OpenCorpus, params: JudgeParams) -> CostEstimate:
    """Of judging as many documents for each query as two rankings that share half of theirs hold, all of them new."""
    config, model = corpus.config.judging, corpus.config.indexing.embedding_model
    queries = params.queries * (2 if params.of is None else 1)
    seconds = round(SECONDS_PER_QUERY[JobKind.JUDGE] * queries, 1)
    local = local_cost(corpus, "EMB", model, queries, seconds, "query")
    if config.base_url is None:
        return together(CostEstimate, local)
    documents = config.depth + config.depth // 2
    asked = min(config.max_questions, 2 * queries * math.ceil(documents / config.documents_per_question))
    each = min(config.documents_per_question, documents)
    chars = len(Question("", (), backward=False, guideline=corpus.config.evaluation.guideline).text)
    chars += each * min(config.document_chars, corpus.config.indexing.passage_chars)
    cost = Tariff(corpus.folder.prices, config).cost(
        asked * math.ceil(chars / CHARS_PER_TOKEN), asked * min(each * GRADE_TOKENS, config.max_output_tokens)
    )
    if config.budget_usd is not None and cost.usd is not None:
        cost = cost.model_copy(update={"usd": min(cost.usd, config.budget_usd)})
    return together(CostEstimate, local, generation=cost)


def _of_evaluation(corpus: OpenCorpus, arms: Sequence[Arm]) -> CostEstimate:
    config, evalsets = corpus.config, corpus.store.evalsets
    there = bool(evalsets.versions(corpus.corpus_id))
    queries = evalsets.current(corpus.corpus_id).queries if there else ()
    local = _reading(corpus, JobKind.EVALUATE, len(queries) if there else config.mining.max_pairs)
    services = corpus.folder.clouds.estimate(
        config.reranking,
        [arm for arm in arms if isinstance(arm, ServiceArm)],
        [len(query.text) for query in queries if query.has_positive or is_answerless(query)],
        min(config.indexing.passage_chars, config.reranking.rerank_input_snippet_chars),
    )
    return together(CostEstimate, local, cloud=services)


def _reading(corpus: OpenCorpus, kind: JobKind, queries: int) -> Cost:
    """Of reading the candidates of so many queries."""
    pairs = queries * corpus.config.reranking.tribrid_reranker_topn
    return local_cost(corpus, "RERANK", "tribrid", pairs, round(SECONDS_PER_QUERY[kind] * queries, 1))


def local_cost(
    corpus: OpenCorpus, kind: Kind, model: str, units: int, compute_s: float, unit: Literal["pair", "query"] = "pair"
) -> Cost:
    """Of work done on this machine: 0 dollars, its seconds, and how much was done.

    Args:
        units: pairs of query and passage read, or queries retrieved.
    """
    cost = corpus.folder.prices.estimate(kind, model, units, provider=LOCAL, compute_s=compute_s)
    return cost.model_copy(update={"unit": unit})


def check_services(corpus: OpenCorpus, params: Mapping[str, object]) -> None:
    """Whether an evaluation with these parameters can ask and pay for its rerank services.

    Raises:
        ModelUnavailable: mode cloud serves and cannot be asked.
        BudgetSpent: they would cost more than is left.
    """
    config = corpus.config
    if config.reranking.reranker_mode == "cloud":
        corpus.rival()
    estimated = estimate(corpus, JobKind.EVALUATE, params)
    corpus.folder.clouds.check_budget(corpus.corpus_id, config.reranking, corpus.folder.config().reranking, estimated)
