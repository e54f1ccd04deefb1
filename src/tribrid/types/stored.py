"""JSON that is kept, in the database and in artifacts: a model's manifest, a mining's counts, a job's result.

Nothing is converted: these types name the keys. A key that an older build did not write is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class BaseModelRef(TypedDict, total=False):
    """The model that a training started from."""

    model: str
    sha256: str


class TrainingData(TypedDict, total=False):
    """What a model was trained on. `heaviest_client`: of the pairs from clients, the share of the one with the most."""

    triplet_set_id: str
    sha256: str
    heaviest_client: float | None


class Code(TypedDict):
    """The program that trained."""

    version: str | None
    sha256: str | None


class FittedCalibration(TypedDict, total=False):
    """`method` platt with its numbers, or none with the reason."""

    method: str
    reason: str
    slope: float
    offset: float
    pairs: int
    positives: int
    brier: float


_Blend = TypedDict("_Blend", {"held_out_ndcg@10": Mapping[str, float]}, total=False)
_Dev = TypedDict("_Dev", {"dev_ndcg@10": float, "dev_ndcg@10_by_weight": Mapping[str, float]}, total=False)


class BlendMetrics(_Blend, total=False):
    """How the blend was chosen: the form that won, where it started, and what each form had on held-out queries."""

    form: str
    start: str
    memory: bool


class CrossEncoderMetrics(_Dev, total=False):
    """How the cross-encoder's training went; `reason`: why it was not `trained`, `left_out`: why it is not `served`."""

    trained: bool
    reason: str
    diagnosis: Mapping[str, object]
    kind: str
    steps: int
    best_step: int
    ended: str
    dev_queries: int
    weight: float
    served: bool
    left_out: str
    export_difference: float


class TrainingMetrics(TypedDict, total=False):
    """What a training measured of itself."""

    blend: BlendMetrics
    cross_encoder: CrossEncoderMetrics
    queries: int
    teaching_queries: int
    remembered_queries: int
    pairs: int
    took_s: float
    times_killed: int


class ServedMemory(TypedDict):
    """Of the past queries, the cluster of each; doc_id → numbers of the queries that it was good for."""

    clusters: Sequence[str]
    good: Mapping[str, Sequence[int]]


class ServedParts(TypedDict):
    """What an artifact needs to serve besides its files. `blends`: the names of each blend's features, in order."""

    mean_tokens: float
    memory: ServedMemory
    blends: Mapping[str, Sequence[str]]
    snippet_chars: int
    cross_encoder_weight: float
    cross_encoder_depth: int
    signals: Mapping[str, Any]


class Manifest(TypedDict, total=False):
    """All that is known of a trained model. Settings are kept as they were then; `format` and `served` stand in the
    artifact alone.
    """

    corpus_id: str
    run_id: str
    data: TrainingData
    base: BaseModelRef
    encoder: str
    retrieval: Mapping[str, Any]
    reranking: Mapping[str, Any]
    corpus_version: int
    kept_out: str | None
    code: Code
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    metrics: TrainingMetrics
    calibration: FittedCalibration
    format: int
    served: ServedParts


class SourceCounts(TypedDict):
    """What was mined from one source."""

    pairs: int
    triplets: int
    queries: int


class MarginFacts(TypedDict, total=False):
    """The rule that holds negatives back, and what it rests on: see mining/margin.py."""

    relative: float
    calibrated: bool
    ratio: float | None
    judged_pairs: int
    false_negative_rate: float | None


class ClickModelFacts(TypedDict):
    """What was learned of how users look and click: chance of a look at each rank, and of a use."""

    examination: Sequence[float]
    good_used: float
    others_used: float
    clicks_at_several_ranks: int


class ClientFacts(TypedDict):
    """Who was behind a log, and how many of them a label needed; `heaviest_share` 0..1, None: taught nothing."""

    clients: int
    needed: int
    anonymous: int
    heaviest_share: float | None
    bots: Mapping[str, int]
    bot_lists: int
    told: str


class GeneratedCounts(TypedDict, total=False):
    """What became of the questions to a language model and of the queries that it wrote."""

    model: str
    asked: int
    answered: int
    failed: int
    stopped: str | None
    trouble: str | None
    queries: int
    kept: int
    left_over: int
    rejected: Mapping[str, int]
    cost: Mapping[str, Any]


class JudgedCounts(TypedDict):
    """What became of the questions to a model that judges."""

    queries: int
    documents: int
    asked: int
    answered: int
    failed: int
    stopped: str | None
    trouble: str | None
    left_over: int
    cost: Mapping[str, Any]


class JudgeFacts(TypedDict):
    """What a mining knew of a judging model: its labels, what they counted for, and the agreement that rests on."""

    judge: str
    labels: int
    weight: float
    kappa: float | None
    low: float | None


class HeldOutFacts(TypedDict):
    """The span of the log that a mining left out, because an eval dataset was made from it: its first moment, and the
    first after it.
    """

    since_us: int
    until_us: int


class MinedCounts(TypedDict, total=False):
    """What a mining counted: mined by source, refused by reason."""

    pairs: int
    triplets: int
    held_back: int
    remembered: int
    margin: MarginFacts
    queries: int
    by_source: Mapping[str, SourceCounts]
    by_negative: Mapping[str, int]
    rejected: Mapping[str, int]
    unknown_documents: Sequence[str]
    positives_not_retrieved: int
    queries_retrieved: int
    impressions: int
    click_model: ClickModelFacts
    clients: ClientFacts
    generated: GeneratedCounts
    judge: JudgeFacts
    held_out: HeldOutFacts


class StoredResult(MinedCounts, total=False):
    """What a job that succeeded says of itself: of a mining its counts, of a training what it made, of an evaluation
    its report, whose keys are those of answers/report.py.
    """

    status: str
    job_id: str
    triplet_set_id: str
    run_id: str
    model_id: str
    metrics: TrainingMetrics
    cost: Mapping[str, object]
