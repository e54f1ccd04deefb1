"""The settings by section: each a bounded, described field with its default; `Config` says which value is in force."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.config.cron import CronExpression
from tribrid.config.fields import Measures, Section, Word, Words

DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"


class IndexingConfig(Section):
    embedding_model: str = Field(
        DEFAULT_BASE_MODEL, max_length=1000, description="Sentence encoder of passages and queries: id or folder."
    )
    passage_chars: int = Field(1500, ge=200, le=10_000, description="Target length of a passage, characters.")
    passage_overlap_chars: int = Field(
        200, ge=0, le=1000, description="Characters a passage repeats from the one before it."
    )
    max_document_chars: int = Field(
        2_000_000, ge=1000, le=50_000_000, description="A longer document is refused, characters."
    )
    file_timeout_s: float = Field(
        30,
        ge=1,
        le=3600,
        description="Processor time in which a file must be read, seconds; ten times that by the clock. Past it "
        "the file is skipped; a PDF keeps the pages that were read.",
    )
    file_memory_mb: int = Field(
        1024, ge=256, le=100_000, description="Memory in which a file must be read, MiB; kept on Linux alone."
    )


class RetrievalConfig(Section):
    fusion: Literal["weighted", "rrf"] = Field(
        "weighted", description="How the legs are joined: fixed weights on normalised scores, or reciprocal ranks."
    )
    dense_weight: float = Field(0.7, ge=0, le=1, description="Weight of the dense leg; the sparse leg has the rest.")
    rrf_k: int = Field(60, ge=1, le=1000, description="Reciprocal rank fusion's constant k (ranks).")
    leg_depth: int = Field(200, ge=10, le=2000, description="Passages each leg returns before fusion.")
    graph_candidates: int = Field(
        0,
        ge=0,
        le=200,
        description="Of the candidates that are reranked, so many at most, and half at most, come from the graph leg: "
        "what belongs with the first ones, in place of the last. 10 is what was measured. 0: the leg is off.",
    )


class MiningConfig(Section):
    max_pairs: int = Field(1000, ge=1, le=1_000_000, description="Most (query, positive) pairs to mine.")
    max_remembered: int = Field(4000, ge=0, le=100_000, description="Most labelled pairs past those to remember.")
    negatives_per_pair: int = Field(50, ge=1, le=500, description="Most negatives drawn for a pair.")
    negative_depth: int = Field(50, ge=2, le=500, description="Deployed top ranks from which negatives come.")
    near_duplicate_threshold: float = Field(
        0.9, ge=0.5, le=1, description="Word 3-gram Jaccard similarity from which two texts count as one."
    )
    examined_below_click: int = Field(
        1, ge=0, le=10, description="Ranks below the lowest click that still count as examined."
    )
    min_clients: int = Field(
        3,
        ge=1,
        le=1000,
        description="Distinct clients that a label from logs needs to count in full and to be remembered; fewer where "
        "few clients acted in all, and one where fewer than five did.",
    )
    relative_margin: float = Field(
        0.05,
        ge=0,
        le=10,
        description="Where judgments are too few to calibrate: a retrieved document is held back for review if every "
        "leg scores it above a well-ranked positive by this share of the positive's score.",
    )


class TrainingConfig(Section):
    base_model: str = Field(
        DEFAULT_BASE_MODEL,
        min_length=1,
        max_length=1000,
        description="Encoder or cross-encoder to start from: id or folder.",
    )
    epochs: int = Field(2, ge=1, le=50, description="Passes over the training queries.")
    batch_size: int = Field(16, ge=1, le=1024, description="Queries (each with its list of candidates) per step.")
    learning_rate: float = Field(5e-5, gt=0, le=1e-2, description="Peak learning rate of the cross-encoder.")
    warmup_ratio: float = Field(0.1, ge=0, le=0.9, description="Share of steps in which the rate rises linearly.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, le=100, description="Gradient norm above which gradients are scaled.")
    folds: int = Field(5, ge=2, le=20, description="Parts of the query clusters, each held out once to choose a form.")
    negatives_per_list: int = Field(4, ge=1, le=100, description="Negatives a cross-encoder step sees per positive.")
    query_tokens: int = Field(64, ge=8, le=256, description="Tokens of a query that the cross-encoder reads.")
    passage_tokens: int = Field(160, ge=16, le=448, description="Tokens of a passage that the cross-encoder reads.")
    cross_encoder: bool = Field(
        True,
        description="Train a cross-encoder too, if it has hope: from 2,000 queries on, or if base_model is one. It is "
        "served only where it helps on dev.",
    )
    cross_encoder_depth: int = Field(20, ge=2, le=1000, description="Best candidates that the cross-encoder reorders.")
    dev_queries: int = Field(
        64, ge=1, le=10_000, description="Most held-out queries on which checkpoints are compared."
    )
    evaluations_per_epoch: int = Field(1, ge=1, le=20, description="Times an epoch that dev ndcg@10 is measured.")
    patience: int = Field(
        1,
        ge=0,
        le=1000,
        description="Measurements on dev in a row without a gain after which the cross-encoder stops; 0: never.",
    )
    distillation: float = Field(
        0.0, ge=0, le=1, description="Share of the cross-encoder's loss that the blend's held-out scores are taught by."
    )
    trained_layers: Literal["upper", "all"] = Field(
        "upper",
        description="Layers that learn when the base model is a cross-encoder: its upper third, or all of them.",
    )
    keep_cross_encoder: bool = Field(
        False,
        description="Train a cross-encoder in any case, and keep it: evaluations then show it.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Numbers of the cross-encoder's training passes; auto: bfloat16 where the processor computes in it "
        "(about twice as fast), else float32. Measured and served in float32.",
    )
    memory_budget_mb: int | None = Field(
        None, ge=64, le=10_000_000, description="Memory to train the cross-encoder in, MiB; None: half of what is free."
    )
    time_budget_s: float | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Longest training, seconds; when it is spent the best so far is taken. None: no limit.",
    )
    checkpoint_every_steps: int = Field(10, ge=1, le=10_000, description="Steps between checkpoints to resume from.")
    seed: int = Field(13, ge=0, le=2**31 - 1, description="Seed of every random choice.")


class EvaluationConfig(Section):
    primary_measure: Word | None = Field(
        None,
        description="Measure the gate decides on: ndcg@10, mrr@10, map, success@1 ... or an ir_measures name; None: "
        "recommended from the labels. Frozen with the eval dataset.",
    )
    measures: Words = Field(
        (), description="Measures to report beside the usual seven, such as precision@5 or nDCG(dcg='exp-log2')@10."
    )
    slice_metadata: Words | None = Field(
        None,
        description="Fields of the documents' metadata by whose value in the relevant documents results are sliced; "
        "None: those with 2 to 12 values.",
    )
    slice_queries: int = Field(10, ge=2, le=100_000, description="Fewest queries of a slice that is shown.")
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="Bootstrap and randomisation resamples.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    seed: int = Field(13, ge=0, le=2**31 - 1, description="Seed of the resampling.")
    score_threshold: float | None = Field(
        None,
        ge=-1e9,
        le=1e9,
        description="Served score whose precision and recall the report shows; none: that with the best F1.",
    )
    guideline: str = Field(
        "1: who asked this would be glad to find it. 0: not. Higher grades, such as 2 and 3, for what answers better.",
        max_length=2000,
        description="What the grades of a judgment mean here, shown to whoever judges.",
    )

    schedule: CronExpression | None = Field(
        None,
        max_length=200,
        description="When what serves is evaluated by itself: a cron expression of five fields, in UTC, as '0 3 * * 1' "
        "for Mondays at 03:00. Nothing is promoted by it. None: never.",
    )
    alert_url: str | None = Field(
        None,
        max_length=1000,
        pattern=r"^https?://[^\s/?#@]+(/[^\s#@]*)?(\?[^\s#]*)?$",
        description="Address that is told by a POST when a scheduled evaluation finds that a guard fell, or that the "
        "share of unjudged documents in the top ten grew by more than gate.max_judged_drop. None: nobody.",
    )


class LogsConfig(Section):
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Searches older than this are deleted with their feedback, days; None: kept for ever. Done when "
        "the worker starts, once a day, and by `tribrid logs prune`.",
    )


class ServingConfig(Section):
    """Of the whole server: no corpus has values of its own."""

    requests_per_minute: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Requests a minute that one API key, or one address without a key, may send; ten seconds' worth "
        "may come at once, the rest is a 429 with Retry-After. None: no limit while no key is asked for, else 6000.",
    )
    max_upload_mb: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description="Longest upload of documents or logs, MiB.",
    )
    max_rerank_mb: int = Field(
        32,
        ge=1,
        le=1024,
        description="Longest body of a rerank call, MiB. Read when the server starts.",
    )
    threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Threads that run cross-encoders, and as many that read passages; None: one a core.",
    )
    max_waiting_pairs: int = Field(
        2000,
        ge=1,
        le=1_000_000,
        description="Most pairs of query and passage that wait for a cross-encoder; what comes on top is refused, 429. "
        "One request that is larger than that by itself does not count against those that it lets pass.",
    )
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Most searches and rerank calls at once; what comes on top is refused, 429."
    )
    cached_scores: int = Field(
        50_000, ge=0, le=10_000_000, description="Cross-encoder scores kept in memory, about 250 bytes each; 0: none."
    )
    cache_mb: int = Field(
        20_480,
        ge=1,
        le=100_000_000,
        description="Copies of indexes and models that are kept in the data folder where they are in an object store, "
        "MiB. The ones unused for longest go first, and none that was used in the last minute.",
    )


class GateConfig(Section):
    minimum_effect: float = Field(
        0.005, ge=0, le=1, description="Least gain of the primary measure that is worth a change of model."
    )
    guard_measures: Measures = Field(
        ("mrr@10", "recall@10"), description="Measures of which none may fall by more than chance; may be empty."
    )
    max_slice_drop: float = Field(
        0.02, ge=0, le=1, description="Largest fall of the primary measure, beyond chance, on any slice of the queries."
    )
    least_slice_queries: int = Field(
        10, ge=2, le=1_000_000, description="Queries from which a slice is large enough to decide anything."
    )
    max_corpus_drop: float = Field(
        0.01, ge=0, le=1, description="Largest fall of the primary measure, beyond chance, on any corpus compared."
    )
    max_latency_p95_ms: float | None = Field(
        None, gt=0, le=600_000, description="Longest reranking of a query, 95th percentile, ms; None: no limit."
    )
    max_judged_drop: float = Field(
        0.1, ge=0, le=1, description="Largest fall of judged@10, the share of the top 10 that anybody has judged."
    )
    seed_spreads: float = Field(
        2.0,
        ge=0,
        le=100,
        description="Standard deviations between models that differ in their seed alone, which a gain must exceed.",
    )
    frequent_queries: int = Field(
        50,
        ge=0,
        le=1000,
        description="Logged queries, those of most clients first, for which no document may rise into the top 10 on "
        "what few clients did; 0: none is looked at.",
    )
    least_clients: int = Field(
        2, ge=1, le=1000, description="Fewest clients on whose word alone a document may rise there; 1: anybody's."
    )


class ComputeConfig(Section):
    """Of the whole server: no corpus has values of its own."""

    processes: int = Field(
        1,
        ge=1,
        le=1024,
        description="Processes of this machine that share long work, such as embedding a corpus; each loads the "
        "encoder. 1: it is done where it is asked for, on serving.threads threads.",
    )
    ray_address: str | None = Field(
        None,
        max_length=300,
        pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):[0-9]{1,5}$",
        description="Head of a Ray cluster, host:port, of which this machine is a node: long work is done there. Given "
        "by the environment alone, TRIBRID_COMPUTE__RAY_ADDRESS. None: on this machine.",
    )
