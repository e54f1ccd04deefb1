"""Rerank, as the clients of Cohere, Jina, Voyage, vLLM, infinity and Hugging Face TEI call it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from tribrid.api.answers import Json
from tribrid.api.attending import attended
from tribrid.api.dialects import answer, call_of, dialect_of, likely_dialect
from tribrid.api.facade import Facade
from tribrid.api.limits import whole_body
from tribrid.api.openapi import answers, takes
from tribrid.api.strictjson import parse_json
from tribrid.encoders.budget import Budget
from tribrid.errors import InvalidInput, ModelNotFound, Overloaded
from tribrid.version import __version__

ID_HEADER = "X-Rerank-ID"
FALLBACK_HEADER = "X-Rerank-Fallback"
_MAX_INPUT_TOKENS = 512

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
_BESIDE = {"id": "0f3a", "query_id": "0f3a", "corpus_id": "handbook", "model_id": "5b1e", "reranked": True}
_BESIDE |= {"fallback_reason": None, "fallback_code": None, "logged": True, "collected": 1, "took_ms": 12.5}
_ROW = {"index": 0, "relevance_score": 0.93, "id": "leave.md", "doc_id": "leave.md"}
_RERANKED = {
    "object": "rerank",
    "model": "handbook",
    "results": [_ROW],
    "usage": {"prompt_tokens": 21, "total_tokens": 21},
    "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}, "warnings": []},
    **_BESIDE,
}
_ANSWERS = answers("Every document once, best first; `id` is what POST /feedback takes.", _RERANKED)
_VOYAGE = {"object": "list", "data": [_ROW], "model": "handbook", "usage": {"total_tokens": 21}, **_BESIDE}


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
    call = call_of(body)
    found = tribrid.rerank(**{**call, "corpus_id": call["corpus_id"] or corpus_id}, budget=budget)
    request.app.state.telemetry.searched(found["reranked"], found["model_id"], found["note"])
    headers = {ID_HEADER: found["query_id"]}
    if found["fallback_code"] is not None:  # TEI's form has no place for it
        headers[FALLBACK_HEADER] = found["fallback_code"]
    return Json(answer(dialect, found, body, path), headers=headers)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        body = parse_json(raw, storable=False)
    except ValueError as error:
        raise InvalidInput(f"body: it is not valid JSON: {getattr(error, 'msg', error)}.", field="body") from error
    if not isinstance(body, dict):
        raise InvalidInput("body: must be a JSON object.", field="body")
    return body


Corpus = Annotated[str | None, Query(max_length=64, description="The corpus, for clients whose body cannot say it.")]


@router.post("/rerank", summary="Put documents in order", openapi_extra=_BODY, responses=_ANSWERS)
@router.post("/reranking", summary="The same as /rerank", openapi_extra=_BODY, responses=_ANSWERS)
@router.post("/v1/rerank", summary="The same as /rerank", openapi_extra=_BODY, responses=_ANSWERS)
@router.post("/v1/reranking", summary="The same as /rerank", openapi_extra=_BODY, responses=_ANSWERS)
async def rerank(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """Documents that any search engine found, in the order of a reranker: a corpus's champion, a model version, or a
    local cross-encoder. `relevance_score` is 0 to 1 (with `raw_scores` what the model gave); the order is the raw
    scores'. With a corpus the list is logged, its `id` takes feedback, and documents that the corpus does not know are
    kept and learned from: mine, train and evaluate need nothing else.
    """
    return await _rerank(request, tribrid, corpus_id)


@router.post("/v2/rerank", summary="Put documents in order, as Cohere's v2", openapi_extra=_BODY, responses=_ANSWERS)
async def rerank_2(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """As /rerank; the answer never holds the documents."""
    return await _rerank(request, tribrid, corpus_id)


@router.post(
    "/voyage/v1/rerank",
    summary="Put documents in order, as Voyage",
    openapi_extra=_BODY,
    responses=answers("As /rerank, the results under `data`.", _VOYAGE),
)
async def rerank_voyage(request: Request, tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """As /rerank in Voyage's form: results under `data`, a returned document as a plain string."""
    return await _rerank(request, tribrid, corpus_id)


@router.get(
    "/info",
    summary="The reranker, as TEI tells of itself",
    responses=answers("A reranker.", {"model_id": "handbook", "model_type": {"reranker": {}}}),
)
def info(tribrid: Facade, corpus_id: Corpus = None) -> Json:
    """What clients of Hugging Face TEI ask before they rerank: what answers a call without a model, and the limits."""
    settings = (tribrid if corpus_id is None else tribrid.corpus(corpus_id)).settings().settings
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return Json(
        {
            "model_id": tribrid.ranker(None, corpus_id).name,
            "model_sha": None,
            "model_dtype": "float32",
            "model_type": {"reranker": labels},
            "max_concurrent_requests": settings["serving"]["max_requests"].value,
            "max_input_length": _MAX_INPUT_TOKENS,
            "max_batch_tokens": 16384,
            "max_client_batch_size": settings["reranking"]["rerank_max_documents"].value,
            "auto_truncate": True,
            "version": __version__,
        }
    )


_MODEL = {"id": "handbook", "object": "model", "created": 1767323045, "owned_by": "tribrid", "model_type": "rerank"}


@router.get(
    "/v1/models",
    summary="What `model` may be in a rerank",
    responses=answers("Corpora, model versions, local models.", {"object": "list", "data": [_MODEL]}),
)
def models(tribrid: Facade) -> Json:
    """In OpenAI's form. `kind` is corpus, version, local, or encoder."""
    return Json({"object": "list", "data": [_model(row) for row in tribrid.rerank_models()]})


@router.get("/v1/models/{model:path}", summary="One of them", responses=answers("It is there.", _MODEL))
def model(model: str, tribrid: Facade) -> Json:
    """404 if nothing of this name can rerank. Xinference's clients ask this first."""
    for row in tribrid.rerank_models():
        if row["id"] == model:
            return Json(_model(row))
    raise ModelNotFound(f"There is no model {model[:200]!r} to rerank with. GET /v1/models lists all.")


def _model(row: Mapping[str, Any]) -> dict[str, Any]:
    about = {name: value for name, value in row.items() if name != "created_at"}
    created = int(datetime.fromisoformat(row["created_at"]).timestamp()) if row["created_at"] else 0
    told = {"object": "model", "created": created, "owned_by": "tribrid"}
    return {**about, **told, "model_type": "rerank", "model_name": row["id"]}
