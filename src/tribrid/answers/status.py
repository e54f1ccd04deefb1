"""What serves on this machine, how it is made, and what works."""

from __future__ import annotations

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer, Time
from tribrid.answers.experiment import ExperimentStatus, ExperimentWaiting


class LastFallback(Answer):
    """The last search that was not reranked."""

    at: Time
    code: str
    reason: str


class FallbackCounts(Answer):
    """Searches since the process started that a reranker should have ranked and did not."""

    total: int
    by_code: dict[str, int]
    last: LastFallback | None


class MeasuredForm(Answer):
    """A form of a cross-encoder as it was tried."""

    pairs_per_s: float | None = None
    rank_agreement: float | None = Field(default=None, description="With fp32: Kendall's tau.")
    score_difference: float | None = Field(default=None, description="From fp32, in standard deviations.")
    accepted: bool
    reason: str | None = Field(description="Why it was not accepted.")


class FormDecision(Answer):
    """Which form is served, and what that was decided on."""

    machine: str
    served: str
    measured: dict[str, MeasuredForm] = Field(description="By form: fp32, int8.")
    export: str | None = None


class ServedForm(Answer):
    """The form in which a model's cross-encoder serves."""

    model_id: str
    export: str = Field(description="Names the weights by their content.")
    serves: str = Field(description="fp32 or int8.")
    decision: FormDecision | None


class CloudBudget(Answer):
    """Most dollars for rerank services in a period."""

    corpus_id: str | None = Field(description="Whose spending counts; null: everybody's.")
    usd: float
    period: str
    spent_usd: float
    left_usd: float


class ModelSpending(Answer):
    """What was spent on one model of a rerank service."""

    provider: str
    model: str
    requests: int
    documents: int
    unpriced: int = Field(description="Requests whose price nobody knows.")
    usd: float


class CloudSpending(Answer):
    """What was spent on rerank services."""

    since: str | None = Field(description="First day (UTC); null: ever.")
    by_model: tuple[ModelSpending, ...]


class CloudPause(Answer):
    """How long a service is left alone, and why."""

    seconds: float
    why: str


class CloudFailure(Answer):
    """A request that failed."""

    at: Time
    detail: str


class CloudStatus(Answer):
    """Whom mode cloud asks, what that has cost, and what went wrong last."""

    provider: str
    host: str
    model: str | None
    price_known: bool
    budgets: tuple[CloudBudget, ...]
    spent: CloudSpending
    pause: CloudPause | None
    last_failure: CloudFailure | None


class RerankerStatus(Answer):
    """Who reranks, whether it is loaded, and why not."""

    corpus_id: str | None = Field(description="Null: where no corpus says otherwise.")
    mode: str = Field(description="none, local, learning or cloud.")
    model_id: str | None = Field(default=None, description="What serves.")
    loaded: bool = False
    reason: str | None = Field(default=None, description="Why nothing serves.")
    problem: str | None = Field(default=None, description="Code of the error that keeps it from serving.")
    fallbacks: FallbackCounts
    champions: dict[str, str | None] | None = Field(default=None, description="By corpus, where none was asked about.")
    cloud: CloudStatus | None = Field(default=None, description="Of mode cloud.")
    form: ServedForm | None = Field(default=None, description="Null: no cross-encoder serves.")
    experiment: ExperimentStatus | ExperimentWaiting | None = Field(
        default=None, description="The corpus's comparison of two models on live searches; null for none."
    )


class EngineFacts(Answer):
    """What waits for this machine's cross-encoders, and what they did since the process started."""

    threads: int
    waiting_pairs: int
    most_waiting_pairs: int
    tokens_per_s: int
    pairs: int
    batches: int
    merged_batches: int = Field(description="Batches of several requests.")
    refused: int
    dropped_pairs: int


class CacheFacts(Answer):
    """Scores that are kept."""

    scores: int
    most: int
    hits: int
    misses: int


class RuntimeFacts(Answer):
    """What computes."""

    machine: str
    engine: EngineFacts | None
    cache: CacheFacts | None
    cross_encoders: tuple[ServedForm, ...]


class CloudFacts(Answer):
    """Which rerank services could be asked."""

    providers: tuple[str, ...]
    keys_present: tuple[str, ...]
    addresses_allowed: tuple[str, ...]


class RequestLimits(Answer):
    """Of a search."""

    top_k: int
    query_chars: int


class RerankerInfo(Answer):
    """How the reranker is made."""

    name: str
    version: str
    python: str
    backends: dict[str, str | None] = Field(description="Versions of libraries; null: not installed.")
    modes: tuple[str, ...]
    cloud: CloudFacts
    model: str
    runtime: RuntimeFacts
    limits: RequestLimits
    hyperparameters: dict[str, JsonValue] = Field(description="JSON Schema of each setting of `training`.")
    mining: dict[str, JsonValue] = Field(description="JSON Schema of each setting of `mining`.")
    reranking: dict[str, JsonValue] = Field(description="JSON Schema of each setting of `reranking`.")


class DoctorCheck(Answer):
    """One thing that was tried."""

    check: str
    ok: bool
    needed: bool = Field(description="Whether a server needs it.")
    detail: str
    took_s: float


class Diagnosis(Answer):
    """What works on this machine."""

    ok: bool = Field(description="Whether all that a server needs does.")
    checks: tuple[DoctorCheck, ...]
