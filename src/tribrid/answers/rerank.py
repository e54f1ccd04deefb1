"""What a rerank answers, in the library's form and in those of the clients that call it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, RootModel

from tribrid.answers.answer import Answer, Time
from tribrid.answers.search import SearchTrial


def _absent(value: object) -> bool:
    """Clients tell what is null from what is not there."""
    return value is None


class RerankedDocument(Answer):
    """A document in its new place."""

    index: int = Field(description="Its place in the call, from 0.")
    score: float = Field(description="0 to 1.")
    raw_score: float = Field(description="What the order is by.")
    doc_id: str | None = Field(description="Null: it came without an id, and no corpus is behind the model.")
    document: dict[str, JsonValue] = Field(description="As it came, `text` among it.")


class RerankFacts(Answer):
    """What Tribrid says beside what the client's form has."""

    query_id: str
    corpus_id: str | None = Field(description="Null: no corpus is behind the model.")
    model_id: str
    reranked: bool = Field(description="False: this is the order of the first stage.")
    fallback_reason: str | None
    fallback_code: str | None = Field(description="Code of the error for which the reranker did not rank.")
    logged: bool
    collected: int = Field(description="Documents that the corpus did not know, and keeps.")
    took_ms: float
    experiment: SearchTrial | None = Field(default=None, description="Null: it takes part in no experiment.")


class Reranking(RerankFacts):
    """Documents in order, best first."""

    model: str = Field(description="What answered.")
    note: str | None = Field(description="What was left out for want of time.")
    tokens: int = Field(description="Read, estimated from the characters.")
    warnings: tuple[str, ...]
    results: tuple[RerankedDocument, ...]


class RerankModel(Answer):
    """What `model` may be in a rerank."""

    id: str
    kind: Literal["corpus", "version", "local", "encoder"]
    corpus_id: str | None = Field(default=None, description="Of a version: its corpus.")
    champion: str | None = Field(default=None, description="Of a corpus: what serves; null: no trained model.")
    created_at: Time | None = None


# ------------------------------------------------------------------------------------------ clients' forms


class RerankRow(Answer):
    """A document in its new place."""

    index: int = Field(description="Its place in the call, from 0.")
    relevance_score: float = Field(description="0 to 1; with `raw_scores` what the model gave.")
    id: str | None = Field(default=None, exclude_if=_absent, description="As doc_id.")
    doc_id: str | None = Field(default=None, exclude_if=_absent, description="Absent: it has none.")


class CohereRow(RerankRow):
    """The same, with the document if the call asked for it."""

    document: dict[str, JsonValue] | None = Field(default=None, exclude_if=_absent)


class VoyageRow(RerankRow):
    """The same, with the document's text if the call asked for it."""

    document: str | None = Field(default=None, exclude_if=_absent)


class RerankUsage(Answer):
    """What was read, estimated from the characters."""

    prompt_tokens: int
    total_tokens: int


class VoyageUsage(Answer):
    """What was read, estimated from the characters."""

    total_tokens: int


class CohereVersion(Answer):
    """Whose form this is."""

    version: str
    is_deprecated: bool = False


class CohereUnits(Answer):
    """What Cohere would bill; nothing is."""

    search_units: int = 1


class CohereTokens(Answer):
    """What was read, estimated from the characters."""

    input_tokens: int
    output_tokens: int = 0


class CohereMeta(Answer):
    """What Cohere's clients read."""

    api_version: CohereVersion
    billed_units: CohereUnits = CohereUnits()
    tokens: CohereTokens
    warnings: tuple[str, ...]


class RerankAnswer(RerankFacts):
    """Documents in order, best first, for clients of Cohere, Jina, vLLM and infinity."""

    id: str = Field(description="What POST /feedback takes, as query_id.")
    object: Literal["rerank"] = "rerank"
    created: int = Field(description="Seconds since 1970.")
    model: str
    results: tuple[CohereRow, ...]
    usage: RerankUsage
    meta: CohereMeta


class VoyageAnswer(RerankFacts):
    """Documents in order, best first, for clients of Voyage."""

    id: str = Field(description="What POST /feedback takes, as query_id.")
    object: Literal["list"] = "list"
    data: tuple[VoyageRow, ...]
    model: str
    usage: VoyageUsage


class TeiRow(Answer):
    """A document in its new place, for clients of Hugging Face TEI."""

    index: int = Field(description="Its place in the call, from 0.")
    score: float = Field(description="0 to 1; with `raw_scores` what the model gave.")
    text: str | None = Field(default=None, exclude_if=_absent, description="With `return_text`.")


class TeiAnswer(RootModel[tuple[TeiRow, ...]]):
    """Documents in order, best first, for clients of Hugging Face TEI."""


class TeiLabels(Answer):
    """The labels that TEI tells of."""

    id2label: dict[str, str] = Field(default={"0": "LABEL_0"})
    label2id: dict[str, int] = Field(default={"LABEL_0": 0})


class TeiModelType(Answer):
    """That this is a reranker."""

    reranker: TeiLabels = TeiLabels()


class TeiInfo(Answer):
    """What clients of TEI ask before they rerank."""

    model_id: str = Field(description="What answers a call without a model.")
    model_sha: str | None = None
    model_dtype: str = "float32"
    model_type: TeiModelType = TeiModelType()
    max_concurrent_requests: int
    max_input_length: int = 512
    max_batch_tokens: int = 16384
    max_client_batch_size: int
    auto_truncate: bool = True
    version: str


class OpenAiModel(Answer):
    """What `model` may be in a rerank, in OpenAI's form."""

    id: str
    kind: Literal["corpus", "version", "local", "encoder"]
    corpus_id: str | None = Field(description="Of a version: its corpus.")
    champion: str | None = Field(description="Of a corpus: what serves; null: no trained model.")
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970; 0: not known.")
    owned_by: str = "tribrid"
    model_type: str = "rerank"
    model_name: str


class OpenAiModels(Answer):
    """Corpora, model versions, local models and the built-in encoder."""

    object: Literal["list"] = "list"
    data: tuple[OpenAiModel, ...]
