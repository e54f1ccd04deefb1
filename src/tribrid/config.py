"""Every setting: typed, bounded, frozen, with its unit in its name. The only reader of the environment.

A value comes from the first of: the corpus's override, the global override (both stored, sparse), the
environment (`TRIBRID_RERANKING__RERANKER_MODE=none`), the default written here. Nothing is ever copied
down, so a better default reaches everyone who did not choose otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tribrid.errors import InvalidInput, UnknownSetting

ENV_PREFIX = "TRIBRID_"
DEFAULT_BASE_MODEL = "all-MiniLM-L6-v2"
Origin = Literal["corpus", "global", "environment", "default"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class RerankingConfig(Section):
    reranker_mode: Literal["none", "local", "learning", "cloud"] = Field(
        "learning",
        description="none: the fused order; local: a Hugging Face cross-encoder as it is; learning: the corpus's "
        "champion, trained here; cloud: a rerank service.",
    )
    reranker_cloud_provider: Literal["cohere", "voyage", "jina"] | None = Field(
        None, description="Rerank service of mode cloud. Its key is read from the environment."
    )
    reranker_cloud_model: str | None = Field(
        None, max_length=200, description="Model name sent to the rerank service; its price is in data/models.json."
    )
    reranker_local_model: str | None = Field(
        None, max_length=1000, description="Hugging Face id or folder of a cross-encoder for mode local."
    )
    tribrid_reranker_topn: int = Field(50, ge=1, le=1000, description="Candidates to rerank (documents).")
    rerank_input_snippet_chars: int = Field(
        2000, ge=50, le=20_000, description="Max characters of a candidate's passage that the reranker reads."
    )
    reranker_timeout_ms: int | None = Field(
        None,
        ge=10,
        le=600_000,
        description="Longest time for reranking, ms: what was not read by then keeps its place below what was, and the "
        "answer says so. None: no limit here; a rerank service is given 10 s.",
    )


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


class RetrievalConfig(Section):
    fusion: Literal["weighted", "rrf"] = Field(
        "weighted", description="How the legs are joined: fixed weights on normalised scores, or reciprocal ranks."
    )
    dense_weight: float = Field(0.7, ge=0, le=1, description="Weight of the dense leg; the sparse leg has the rest.")
    rrf_k: int = Field(60, ge=1, le=1000, description="Reciprocal rank fusion's constant k (ranks).")
    leg_depth: int = Field(200, ge=10, le=2000, description="Passages each leg returns before fusion.")


class MiningConfig(Section):
    max_pairs: int = Field(500, ge=1, le=1_000_000, description="Most (query, positive) pairs to mine.")
    negatives_per_pair: int = Field(50, ge=1, le=500, description="Most negatives drawn for a pair.")
    negative_depth: int = Field(50, ge=2, le=500, description="Deployed top ranks from which negatives come.")
    near_duplicate_threshold: float = Field(
        0.9, ge=0.5, le=1, description="Word 3-gram Jaccard similarity from which two texts count as one."
    )
    examined_below_click: int = Field(
        1, ge=0, le=10, description="Ranks below the lowest click that still count as examined."
    )
    relative_margin: float = Field(
        0.05,
        ge=0,
        le=10,
        description="Where judgments are too few to calibrate: a retrieved document is held back for review if every "
        "leg scores it above a well-ranked positive by this share of the positive's score.",
    )


class GenerationConfig(Section):
    base_url: str | None = Field(
        None,
        max_length=1000,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$",
        description="OpenAI-compatible server that writes queries for mining, as http://127.0.0.1:8080/v1 (a bare "
        "address gets /v1); None: no queries are generated. Keys: TRIBRID_GENERATION_API_KEY is sent only to the "
        "address that the environment names, OPENAI_API_KEY only to https://api.openai.com.",
    )
    model: str | None = Field(None, min_length=1, max_length=200, description="Model name sent to that server.")
    provider: str | None = Field(
        None,
        max_length=100,
        description="Whose price in data/models.json counts; local: the server is your own and costs 0. None: by the "
        "model's name; a model without a price on this machine's own address is local.",
    )
    budget_usd: float | None = Field(
        None, ge=0, le=1_000_000, description="Asking stops before it may cost more, dollars; None: no limit."
    )
    max_passages: int = Field(500, ge=1, le=100_000, description="Most passages to ask about in a mining.")
    queries_per_passage: int = Field(2, ge=1, le=10, description="Queries to ask for at a time, of one passage.")
    keep_within_rank: int = Field(
        20, ge=1, le=500, description="A query is kept if retrieval has its passage's document this high (rank)."
    )
    examples: str = Field(
        "", max_length=2000, description="Queries as your users type them, one a line: models of style for the model."
    )
    temperature: float | None = Field(None, ge=0, le=2, description="Sampling temperature; None: the server's own.")
    max_output_tokens: int = Field(
        512, ge=16, le=8192, description="Most tokens of an answer; a model that thinks aloud needs more."
    )
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="Name under which the server takes that limit; OpenAI's newer models: the second."
    )
    concurrency: int = Field(4, ge=1, le=64, description="Questions asked at the same time.")
    timeout_s: float = Field(60, ge=1, le=600, description="Longest wait for one answer, seconds.")
    retries: int = Field(4, ge=0, le=10, description="Times a question is asked again after a 429, a 5xx or a timeout.")


class TrainingConfig(Section):
    base_model: str = Field(
        DEFAULT_BASE_MODEL, max_length=1000, description="Encoder or cross-encoder to start from: id or folder."
    )
    epochs: int = Field(2, ge=1, le=50, description="Passes over the training queries.")
    batch_size: int = Field(16, ge=1, le=1024, description="Queries (each with its list of candidates) per step.")
    learning_rate: float = Field(5e-5, gt=0, le=1e-2, description="Peak learning rate of the cross-encoder.")
    warmup_ratio: float = Field(0.1, ge=0, le=0.9, description="Share of steps in which the rate rises linearly.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW weight decay.")
    max_grad_norm: float = Field(1.0, gt=0, le=100, description="Gradient norm above which gradients are scaled.")
    folds: int = Field(
        5, ge=2, le=20, description="Parts of the query clusters; each is held out once to choose a form."
    )
    negatives_per_list: int = Field(4, ge=1, le=100, description="Negatives a cross-encoder step sees per positive.")
    query_tokens: int = Field(64, ge=8, le=256, description="Tokens of a query that the cross-encoder reads.")
    passage_tokens: int = Field(160, ge=16, le=448, description="Tokens of a passage that the cross-encoder reads.")
    cross_encoder: bool = Field(True, description="Train a cross-encoder too; it is served only where it helps on dev.")
    cross_encoder_depth: int = Field(20, ge=2, le=1000, description="Best candidates that the cross-encoder reorders.")
    dev_queries: int = Field(
        64, ge=1, le=10_000, description="Most held-out queries on which checkpoints are compared."
    )
    evaluations_per_epoch: int = Field(1, ge=1, le=20, description="Times an epoch that dev nDCG@10 is measured.")
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
        False, description="Keep a cross-encoder that did not help on dev in the artifact, so that evaluations show it."
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
    primary_measure: Literal["nDCG@10", "RR@10", "AP"] | None = Field(
        None, description="Measure the gate decides on; None: recommended from the labels and frozen with the dataset."
    )
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="Bootstrap and randomisation resamples.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    seed: int = Field(13, ge=0, le=2**31 - 1, description="Seed of the resampling.")


class ServingConfig(Section):
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads that run cross-encoders; None: one for each processor core."
    )
    max_waiting_pairs: int = Field(
        2000,
        ge=1,
        le=1_000_000,
        description="Most pairs of query and passage that wait for a cross-encoder; what comes on top is refused, 429.",
    )
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Most searches and rerank calls at once; what comes on top is refused, 429."
    )
    cached_scores: int = Field(
        50_000, ge=0, le=10_000_000, description="Cross-encoder scores kept in memory, about 250 bytes each; 0: none."
    )
    settling_queries: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Most eval queries on which a cross-encoder's int8 form is compared with its fp32.",
    )


class Config(Section):
    reranking: RerankingConfig = RerankingConfig()  # type: ignore[call-arg]
    indexing: IndexingConfig = IndexingConfig()  # type: ignore[call-arg]
    retrieval: RetrievalConfig = RetrievalConfig()  # type: ignore[call-arg]
    mining: MiningConfig = MiningConfig()  # type: ignore[call-arg]
    generation: GenerationConfig = GenerationConfig()  # type: ignore[call-arg]
    training: TrainingConfig = TrainingConfig()  # type: ignore[call-arg]
    evaluation: EvaluationConfig = EvaluationConfig()  # type: ignore[call-arg]
    serving: ServingConfig = ServingConfig()  # type: ignore[call-arg]


Overrides = Mapping[str, Mapping[str, Any]]
"""Sparse settings by section: {"training": {"epochs": 3}}."""


def _invalid(error: ValidationError) -> InvalidInput:
    """The first fault of a validation, in words, as the right branch of the error tree."""
    fault = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return UnknownSetting(
            f"There is no setting {name!r}. GET /config lists every setting with its default and bounds.", setting=name
        )
    return InvalidInput(f"{name}: {fault['msg']}", setting=name)


def check_overrides(overrides: Overrides) -> dict[str, dict[str, Any]]:
    """The overrides, validated against defaults and normalised to JSON values.

    Raises:
        UnknownSetting: a section or a field does not exist; names it.
        InvalidInput: a value is of the wrong type or out of bounds.
    """
    try:
        config = Config.model_validate(overrides)
    except ValidationError as error:
        raise _invalid(error) from None
    dumped = config.model_dump(mode="json")
    return {section: {name: dumped[section][name] for name in fields} for section, fields in overrides.items()}


def resolve(
    *, environment: Overrides | None = None, stored: Overrides | None = None, corpus: Overrides | None = None
) -> tuple[Config, dict[str, dict[str, Origin]]]:
    """The settings in force, and where each came from.

    Raises:
        UnknownSetting, InvalidInput: as check_overrides.
    """
    layers: list[tuple[Origin, Overrides]] = [
        ("environment", environment or {}),
        ("global", stored or {}),
        ("corpus", corpus or {}),
    ]
    origins: dict[str, dict[str, Origin]] = {
        section: dict.fromkeys(type(getattr(Config(), section)).model_fields, "default")
        for section in Config.model_fields
    }
    merged: dict[str, dict[str, Any]] = {}
    for origin, layer in layers:
        for section, fields in check_overrides(layer).items():
            merged.setdefault(section, {}).update(fields)
            origins[section].update(dict.fromkeys(fields, origin))
    return Config.model_validate(merged), origins


def with_params(config: Config, section: str, params: Mapping[str, Any]) -> Config:
    """The config with one call's parameters (`{"epochs": 2}`) laid over one section.

    Raises:
        UnknownSetting, InvalidInput: naming `section.field`.
    """
    current = config.model_dump(mode="json")
    try:
        return Config.model_validate({**current, section: {**current[section], **params}})
    except ValidationError as error:
        raise _invalid(error) from None


class Environment(BaseModel):
    """What the process was given from outside: where data lives, where to listen, secrets by name."""

    model_config = ConfigDict(frozen=True)

    data_dir: Path
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    api_key: str | None = Field(None, repr=False)
    overrides: dict[str, dict[str, Any]] = {}
    cloud_keys: dict[str, str] = Field({}, repr=False)
    models_file: Path | None = None
    models_dir: Path | None = None


_CLOUD_KEYS = {
    "cohere": "COHERE_API_KEY",
    "voyage": "VOYAGE_API_KEY",
    "jina": "JINA_API_KEY",
    "openai": "OPENAI_API_KEY",
    "generation": "TRIBRID_GENERATION_API_KEY",
}


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """Read every variable Tribrid knows: TRIBRID_DATA_DIR, TRIBRID_DATABASE_URL, TRIBRID_HOST, TRIBRID_PORT,
    TRIBRID_API_KEY, TRIBRID_MODELS_FILE, TRIBRID_MODELS_DIR, TRIBRID_<SECTION>__<FIELD>, and the services' keys.

    Raises:
        InvalidInput: a variable's value does not fit; names the variable.
    """
    env = os.environ if environ is None else environ
    overrides: dict[str, dict[str, Any]] = {}
    for name, value in env.items():
        section, separator, field = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            overrides.setdefault(section, {})[field] = value
    plain = {
        field: env[ENV_PREFIX + field.upper()]
        for field in ("data_dir", "database_url", "host", "port", "api_key", "models_file", "models_dir")
        if env.get(ENV_PREFIX + field.upper())
    }
    plain.setdefault("data_dir", str(Path.home() / ".tribrid"))
    cloud_keys = {name: env[variable] for name, variable in _CLOUD_KEYS.items() if env.get(variable)}
    try:
        checked = check_overrides(overrides)
        return Environment.model_validate({**plain, "overrides": checked, "cloud_keys": cloud_keys})
    except ValidationError as error:
        raise _of_variable(_invalid(error)) from None
    except InvalidInput as error:
        raise _of_variable(error) from None


def _of_variable(error: InvalidInput) -> InvalidInput:
    """The same error, with the environment variable that is at fault in front."""
    variable = ENV_PREFIX + str(error.facts["setting"]).replace(".", "__").upper()
    return type(error)(f"{variable}: {error.detail}", **error.facts)


def child_environment(environment: Environment, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for a process of ours: what this one has, with `environment` instead of its settings."""
    inherited = os.environ if environ is None else environ
    child = {name: value for name, value in inherited.items() if not (name.startswith(ENV_PREFIX) and "__" in name)}
    # Threads that wait should sleep: spinning ones, OpenMP's default, starve the server next to a training.
    child.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for field in ("data_dir", "database_url", "models_file", "models_dir"):
        value = getattr(environment, field)
        child[ENV_PREFIX + field.upper()] = str(value) if value else ""  # empty: not given
    for name, variable in _CLOUD_KEYS.items():
        child[variable] = environment.cloud_keys.get(name, "")
    for section, fields in environment.overrides.items():
        for name, value in fields.items():
            if value is not None:  # the default of all that may be null
                child[f"{ENV_PREFIX}{section.upper()}__{name.upper()}"] = str(value)
    return child
