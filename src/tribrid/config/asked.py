"""The settings of language models that are asked over HTTP: to write queries, and to judge."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tribrid.config.fields import Section

ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"


class AskedModel(Section):
    """What is the same whatever a model is asked for."""

    base_url: str | None = None
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


class GenerationConfig(AskedModel):
    """Of the model that writes queries."""

    base_url: str | None = Field(
        None,
        max_length=1000,
        pattern=ADDRESS,
        description="OpenAI-compatible server that writes queries for mining, as http://127.0.0.1:8080/v1 (a bare "
        "address gets /v1); None: no queries are generated. Keys: TRIBRID_GENERATION_API_KEY is sent only to the "
        "address that the environment names, OPENAI_API_KEY only to https://api.openai.com.",
    )
    max_passages: int = Field(500, ge=1, le=100_000, description="Most passages to ask about in a mining.")
    queries_per_passage: int = Field(2, ge=1, le=10, description="Queries to ask for at a time, of one passage.")
    keep_within_rank: int = Field(
        20, ge=1, le=500, description="A query is kept if retrieval has its passage's document this high (rank)."
    )
    examples: str = Field(
        "", max_length=2000, description="Queries as your users type them, one a line: models of style for the model."
    )


class JudgingConfig(AskedModel):
    """Of the model that judges."""

    base_url: str | None = Field(
        None,
        max_length=1000,
        pattern=ADDRESS,
        description="Server whose model judges documents, as http://127.0.0.1:8080/v1 (a bare address gets /v1); None: "
        "no model judges. What the grades mean is evaluation.guideline. Keys: TRIBRID_JUDGING_API_KEY is sent only to "
        "the address that the environment names, OPENAI_API_KEY only to https://api.openai.com.",
    )
    protocol: Literal["chat", "decisions", "systemone"] = Field(
        "chat",
        description="What the server speaks: chat: OpenAI-compatible chat completions; decisions: POST /v1/decisions; "
        "systemone: POST /v1/systemone. The last two answer with probabilities.",
    )
    max_output_tokens: int = Field(
        2048, ge=16, le=32_768, description="Most tokens of an answer in chat; a model that thinks aloud needs more."
    )
    max_questions: int = Field(
        500, ge=1, le=100_000, description="Most questions to ask in a judging; the next one goes on where it ended."
    )
    documents_per_question: int = Field(
        10, ge=1, le=64, description="Documents that the model sees at once. Each list is asked about in two orders."
    )
    document_chars: int = Field(2000, ge=100, le=50_000, description="Text of a document that it sees, characters.")
    depth: int = Field(10, ge=1, le=50, description="First documents of each ranking that are judged for a query.")
    least_agreement: float = Field(
        0.4,
        ge=-1,
        le=1,
        description="Weighted kappa with people from which on a model agrees: its whole interval must lie above.",
    )
    weight: float = Field(
        0.5, ge=0, le=1, description="Weight in mining of labels of a model that agrees with people; a person's: 1."
    )
    unproven_weight: float = Field(
        0.1, ge=0, le=1, description="The same while that is not shown, or is refuted; 0: nothing is learned from it."
    )
