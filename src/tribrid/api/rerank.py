"""Rerank, as the clients of Cohere, Jina, Voyage, vLLM, infinity and Hugging Face TEI call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import JsonValue

from tribrid.answers.rerank import (
    OpenAiModel,
    OpenAiModels,
    RerankAnswer,
    RerankModel,
    TeiAnswer,
    TeiInfo,
    VoyageAnswer,
)
from tribrid.api.answers import Json
from tribrid.api.attending import attended
from tribrid.api.dialects import answer, call_of, dialect_of, likely_dialect
from tribrid.api.facade import Facade
from tribrid.api.limits import whole_body
from tribrid.api.openapi import takes
from tribrid.api.strictjson import parse_json
from tribrid.encoders.budget import Budget
from tribrid.errors import InvalidInput, ModelNotFound, Overloaded
from tribrid.version import __version__

ID_HEADER = "X-Rerank-ID"
FALLBACK_HEADER = "X-Rerank-Fallback"

router = APIRouter(tags=["rerank"])

_DOCUMENTS = ["Everyone has 30 days of leave.", {"id": "soup.md", "title": "Soup", "text": "Boil it for an hour."}]
_CALL = {"model": "handbook", "query": "how many days off", "documents": _DOCUMENTS, "top_n": 2}
_BODY = takes(
    {"application/json": _CALL},
    "`query` and `documents` (strings, or objects with `text` and perhaps `title`, `id`, `metadata`) in the order in "
    "which they were found. `model`: a corpus, a model version or a local model; `corpus_id`: whose it is and where it "
    "is logged. `top_n` or `top_k`, `return_documents`, `rank_fields`, `max_chunks_per_doc`, `max_tokens_per_doc`, "
    "`truncate`, `raw_scores`, `client_id`. What else is sent is passed over. With `texts` instead of `documents`: "
    "TEI's form.",
)
_ANSWER = RerankAnswer | TeiAnswer


async def _rerank(request: Request, tribrid: Facade, corpus_id: str | None = None) -> Json:
    raw = await whole_body(request, request.app.state.max_rerank_bytes)
    try:
        return await attended(request, lambda budget: _answer(request, tribrid, raw, corpus_id, budget))
    except Overloaded:
        request.state.dialect = likely_dialect(request.scope["path"], raw)
        raise


def _answer(request: Request, tribrid: Facade, raw: bytes, corpus_id: str | None, budget: Budget) -> Json:
    body = _object(raw)
    path = request.scope["path"]
    dialect = dialect_of(path, body)
    request.state.dialect = dialect
    found = tribrid.rerank(**call_of(body, corpus_id), budget=budget)
    request.app.state.telemetry.searched(found.reranked, found.model_id, found.note)
    headers = {ID_HEADER: found.query_id}
    if found.fallback_code is not None:  # TEI's form has no place for it
        headers[FALLBACK_HEADER] = found.fallback_code
    return Json(answer(dialect, found, body, path), headers=headers)


def _object(raw: bytes) -> Mapping[str, JsonValue]:
    try:
        body = parse_json(raw, storable=False)
    except ValueError as error:
        raise InvalidInput(f"body: it is not valid JSON: {getattr(error, 'msg', error)}.", field="body") from error
    if not isinstance(body, dict):
        raise InvalidInput("body: must be a JSON object.", field="body")
    return body


Corpus = Annotated[str | None, Query(max_length=64, description="The corpus, for clients whose body cannot say it.")]


_SAME = "The same as /rerank"


@router.post("/v1/reranking", summary=_SAME, openapi_extra=_BODY, response_model=_ANSWER)
@router.post("/v1/rerank", summary=_SAME, openapi_extra=_BODY, response_model=_ANSWER)
@router.post("/reranking", summary=_SAME, openapi_extra=_BODY, response_model=_ANSWER)
@router.post("/rerank", summary="Put documents in order", openapi_extra=_BODY, response_model=_ANSWER)
async def rerank(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """Documents that any search engine found, in the order of a reranker: a corpus's champion, a model version, or a
    local cross-encoder. `relevance_score` is 0 to 1 (with `raw_scores` what the model gave); the order is the raw
    scores'. With a corpus the list is logged, its `id` takes feedback, and documents that the corpus does not know are
    kept and learned from: mine, train and evaluate need nothing else. `experiment`: the list's part in a comparison of
    two rankings on live traffic, null for none.
    """
    return await _rerank(request, tribrid, corpus_id)


@router.post(
    "/v2/rerank", summary="Put documents in order, as Cohere's v2", openapi_extra=_BODY, response_model=_ANSWER
)
async def rerank_2(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """As /rerank; the answer never holds the documents."""
    return await _rerank(request, tribrid, corpus_id)


@router.post(
    "/voyage/v1/rerank",
    summary="Put documents in order, as Voyage",
    openapi_extra=_BODY,
    response_model=VoyageAnswer,
    response_description="As /rerank, the results under `data`.",
)
async def rerank_voyage(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """As /rerank in Voyage's form: results under `data`, a returned document as a plain string."""
    return await _rerank(request, tribrid, corpus_id)


@router.get("/info", summary="The reranker, as TEI tells of itself", response_model=TeiInfo)
def info(tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """What clients of Hugging Face TEI ask before they rerank: what answers a call without a model, and the limits."""
    settings = (tribrid if corpus_id is None else tribrid.corpus(corpus_id)).settings().settings
    return Json(
        TeiInfo.model_validate(
            {
                "model_id": tribrid.ranker(None, corpus_id).name,
                "max_concurrent_requests": settings["serving"]["max_requests"].value,
                "max_client_batch_size": settings["reranking"]["rerank_max_documents"].value,
                "version": __version__,
            }
        )
    )


@router.get(
    "/v1/models",
    summary="What `model` may be in a rerank",
    response_model=OpenAiModels,
    response_description="Corpora, model versions, local models.",
)
def models(tribrid: Facade) -> Json:
    """In OpenAI's form. `kind` is corpus, version, local, or encoder."""
    return Json(OpenAiModels(data=tuple(map(_model, tribrid.rerank_models()))))


@router.get("/v1/models/{model:path}", summary="One of them", response_model=OpenAiModel)
def model(model: str, tribrid: Facade) -> Json:
    """404 if nothing of this name can rerank. Xinference's clients ask this first."""
    for row in tribrid.rerank_models():
        if row.id == model:
            return Json(_model(row))
    raise ModelNotFound(f"There is no model {model[:200]!r} to rerank with. GET /v1/models lists all.")


def _model(row: RerankModel) -> OpenAiModel:
    created = int(row.created_at.timestamp()) if row.created_at else 0
    return OpenAiModel(
        id=row.id, kind=row.kind, corpus_id=row.corpus_id, champion=row.champion, created=created, model_name=row.id
    )
