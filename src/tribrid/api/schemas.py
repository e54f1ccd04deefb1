"""The bodies of requests. An unknown field is an error that names it; bounds that are settings come from config.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, create_model, field_validator
from pydantic_core import PydanticCustomError

from tribrid.app.corpus import MAX_QUERY_CHARS
from tribrid.app.learning import MAX_CORPORA, MAX_JUDGED
from tribrid.app.searched import MAX_FACETS, MAX_TOP_K
from tribrid.cloud.dialects import Provider
from tribrid.config import type_fault
from tribrid.config.sections import MiningConfig, TrainingConfig
from tribrid.errors import InvalidInput
from tribrid.loop.arms import MAX_ARMS
from tribrid.types import Mark, Signal, Source
from tribrid.types.filters import MAX_FIELD_CHARS
from tribrid.types.texts import MAX_ID_CHARS

MAX_DELETED = 10_000
MAX_ROWS = 2**31 - 1
MAX_TEXT_CHARS = 1000

CorpusId = Annotated[str, Field(min_length=1, max_length=64, description="The corpus.", examples=["tribrid"])]
Wait = Annotated[bool, Field(description="Answer when the work is done; if not, at once with the job's address.")]

# Of lists that come in pages.
Offset = Annotated[int, Query(ge=0, le=MAX_ROWS, description="Rows to leave out at the start.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows to answer at most.")]
OfCorpus = Annotated[str, Query(alias="corpus_id", max_length=64, description="The corpus.")]


class Body(BaseModel):
    """A request's JSON object."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_own_type(cls, value: Any, about: ValidationInfo) -> Any:
        """JSON has types: `"5"` is no number, and `true` neither, though Python would take both for one."""
        fault = type_fault(cls.model_fields[about.field_name or ""].annotation, value, text=False)
        if fault:
            raise PydanticCustomError("json_type", "{fault}", {"fault": fault})
        return value


class CorpusBody(Body):
    """A new corpus."""

    corpus_id: CorpusId
    name: str = Field("", max_length=MAX_TEXT_CHARS, description="For people.", examples=["Our handbook"])


class DeleteDocumentsBody(Body):
    """Documents to delete."""

    doc_ids: list[Annotated[str, Field(max_length=MAX_ID_CHARS)]] = Field(
        min_length=1, max_length=MAX_DELETED, description="Their ids; unknown ones are passed over."
    )


class SearchBody(Body):
    """A search."""

    corpus_id: CorpusId
    query: str = Field(
        min_length=1, max_length=MAX_QUERY_CHARS, description="What to look for.", examples=["parse a date"]
    )
    top_k: int = Field(10, ge=1, le=MAX_TOP_K, description="Results to return at most.")
    offset: int = Field(
        0, ge=0, lt=MAX_TOP_K, description=f"Results to leave out at the start; with top_k up to {MAX_TOP_K}."
    )
    filter: dict[str, JsonValue] | None = Field(
        None,
        description="What alone is searched, by documents' metadata: $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin and "
        "$exists of a field, and $and, $or, $not of filters.",
        examples=[{"lang": "de", "year": {"$gte": 2020}}],
    )
    per: Literal["doc", "passage"] = Field(
        "doc", description="Each document once, by its best passage; or the best passages, several of one document."
    )
    facets: list[Annotated[str, Field(max_length=MAX_FIELD_CHARS)]] = Field(
        [],
        max_length=MAX_FACETS,
        description="Fields of the metadata: of their values it is counted how many documents have each.",
        examples=[["lang"]],
    )
    client_id: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Tells this user's searches from others'; kept in the log. A query that he soon asks again in "
        "other words counts against what was shown for it.",
    )


class FeedbackBody(Body):
    """What a user did with a result."""

    query_id: str = Field(min_length=1, max_length=MAX_ID_CHARS, description="From the answer of /search or /rerank.")
    doc_id: str | None = Field(
        None, min_length=1, max_length=MAX_ID_CHARS, description="The document; none: the list as a whole."
    )
    index: int | None = Field(
        None, ge=0, le=MAX_ROWS, description="Of a rerank: the document's place in the request, instead of doc_id."
    )
    signal: Signal = Field(description="What was done.")
    value: float | None = Field(None, description="For dwell the seconds, for rating 1 to 5; else nothing.")


class JudgeBody(Body):
    """What a model is to judge."""

    corpus_id: CorpusId
    queries: int | None = Field(
        None, ge=1, le=MAX_JUDGED, description="Most queries of each kind. Default: 50.", examples=[50]
    )
    of: Literal["people", "log"] | None = Field(
        None,
        description="people: what people judged, to see whether the model agrees; log: frequent queries that nobody "
        "judged, to learn from. Default: both.",
    )
    wait: Wait = True


class MineBody(Body):
    """What to mine triplets from."""

    corpus_id: CorpusId
    max_pairs: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description=str(MiningConfig.model_fields["max_pairs"].description) + " Default: the setting mining.max_pairs.",
        examples=[500],
    )
    sources: list[Source] | None = Field(
        None, min_length=1, max_length=len(Source), description="Where from, default: all there is, by trust."
    )
    wait: Wait = True


class ReviewBody(Body):
    """What was decided of a triplet."""

    decision: Mark = Field(
        description="accept: a true negative, trained on from now on. flip: a positive of the query. drop: neither."
    )


class ArmBody(Body):
    """Something else that takes part: exactly one of `run`, `model_id` and `provider`."""

    name: str = Field(min_length=1, max_length=64, description="Its row in the report.", examples=["solr"])
    run: str | None = Field(
        None, min_length=1, description="The text of a TREC run file: query_id Q0 doc_id rank score tag, a line each."
    )
    restrict: bool = Field(
        False,
        description="Judge only the run's order of the frozen candidates; default: the run as it is, with what it "
        "retrieved itself.",
    )
    model_id: str | None = Field(
        None, min_length=1, max_length=64, description="Another version of the corpus's models."
    )
    provider: Provider | None = Field(None, description="A rerank service: whose form of request it speaks.")
    url: str | None = Field(
        None,
        max_length=1000,
        description="Its address: reranking.reranker_cloud_url or one of TRIBRID_CLOUD_URLS. None: the provider's own.",
    )
    model: str | None = Field(None, min_length=1, max_length=200, description="The model it is asked for.")


class EvaluateBody(Body):
    """What to evaluate: `corpus_id`, or `corpus_ids`, of which the first is the one whose model may be promoted."""

    corpus_id: CorpusId | None = Field(None, description="The corpus.", examples=["tribrid"])
    corpus_ids: list[CorpusId] | None = Field(
        None,
        min_length=1,
        max_length=MAX_CORPORA + 1,
        description="Several corpora, each with its own eval dataset: is the gain the same on all?",
    )
    model_id: str | None = Field(
        None, min_length=1, max_length=64, description="The model; default: what the last training made."
    )
    arms: list[ArmBody] = Field([], max_length=MAX_ARMS, description="What else takes part, such as another engine.")
    wait: Wait = True

    @property
    def corpora(self) -> list[str]:
        """The corpora that were named, the one whose model may be promoted first.

        Raises:
            InvalidInput: none was.
        """
        named = [*([self.corpus_id] if self.corpus_id else []), *(self.corpus_ids or [])]
        if not named:
            raise InvalidInput("corpus_id: This field of the body is required (or corpus_ids).", field="corpus_id")
        return list(dict.fromkeys(named))


class PromoteBody(Body):
    """The model to serve from now on."""

    corpus_id: CorpusId
    model_id: str | None = Field(None, min_length=1, max_length=64, description="Default: the newest.")
    reason: str = Field("", max_length=MAX_TEXT_CHARS, description="For the record; needed with `force`.")
    force: bool = Field(False, description="Also a model that no evaluation shows to be better than what serves now.")


class EraseBody(Body):
    """What to erase: exactly one of these."""

    query_id: str | None = Field(
        None, min_length=1, max_length=MAX_ID_CHARS, description="One search: its list and what was done with it."
    )
    query: str | None = Field(
        None, min_length=1, max_length=MAX_QUERY_CHARS, description="A query's text, whoever asked it, wherever it is."
    )
    client_id: str | None = Field(
        None, min_length=1, max_length=MAX_ID_CHARS, description="A user's searches and what was done with them."
    )
    doc_id: str | None = Field(
        None, min_length=1, max_length=MAX_ID_CHARS, description="A document and all that names it."
    )


class RollbackBody(Body):
    """The corpus whose champion goes back to the one before."""

    corpus_id: CorpusId
    reason: str = Field("", max_length=MAX_TEXT_CHARS, description="For the record.")


class _TrainCall(Body):
    """The corpus to train on, and any hyperparameter that is to differ from the setting `training.<name>`."""

    corpus_id: CorpusId
    wait: Wait = False

    def hyperparameters(self) -> dict[str, Any]:
        """Those the call named."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"corpus_id", "wait"})


# Made from the settings, so that a hyperparameter cannot be in one and not in the other.
TrainBody: type[_TrainCall] = create_model(
    "TrainBody",
    __base__=_TrainCall,
    __doc__=_TrainCall.__doc__,
    **{name: (field.annotation, field) for name, field in TrainingConfig.model_fields.items()},  # type: ignore[call-overload]
)
