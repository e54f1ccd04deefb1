"""Relevance judgments: those to train from, and the fixed eval dataset. Both take the same two forms.

JSON judged queries, or the texts of queries beside TREC or BEIR qrels, which name queries by id alone:

    {"queries": [{"query_id": "1", "text": "annual leave", "judgments": {"a": 1}}]}
    {"queries": {"1": "annual leave"}, "qrels": "1 0 a 1"}
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import MAX_JUDGMENTS_BYTES, whole_body
from tribrid.api.openapi import answers, takes
from tribrid.api.strictjson import parse_json
from tribrid.corpus.formats import judged_queries, parse_judged_queries, parse_qrels
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

router = APIRouter(tags=["labels"])

_FORM = {"queries": [{"query_id": "1", "text": "annual leave", "judgments": {"a": 1, "b": 0}}]}
_BODY = takes(
    {"application/json": _FORM},
    'Judged queries, or `{"queries": {query_id: text}, "qrels": "..."}` with qrels in TREC\'s four columns or '
    "BEIR's three. A grade of 1 or more is relevant.",
)
_STORED = {"queries": 1, "judgments": 2, "unknown_documents": ["b"], "unknown_documents_total": 1}
_EVAL_DATASET = {"sha256": "9f86d081", "version": 1, "primary_measure": "nDCG@10", **_STORED}


async def _raw(request: Request) -> bytes:
    return await whole_body(request, MAX_JUDGMENTS_BYTES)


RawBody = Annotated[bytes, Depends(_raw)]


@router.put(
    "/corpora/{corpus_id}/judgments",
    summary="Put judgments to train from",
    openapi_extra=_BODY,
    responses=answers("What was stored; judged documents that the corpus lacks are counted and named.", _STORED),
)
def put_judgments(
    corpus_id: str,
    raw: RawBody,
    tribrid: Facade,
    replace: Annotated[bool, Query(description="Drop all judgments there were before.")] = False,
) -> Json:
    """Queries of the eval dataset are never trained on: they are named in `in_eval_dataset`."""
    return Json(tribrid.put_judgments(corpus_id, judged(raw), replace=replace))


@router.get("/corpora/{corpus_id}/judgments", summary="The judgments", responses=answers("All of them.", _FORM))
def judgments(corpus_id: str, tribrid: Facade) -> Json:
    """In the form in which they can be put back."""
    return Json(tribrid.judgments(corpus_id))


@router.put(
    "/corpora/{corpus_id}/eval_dataset",
    summary="Set the eval dataset",
    openapi_extra=_BODY,
    responses=answers("Its hash and version.", _EVAL_DATASET),
)
def put_eval_dataset(corpus_id: str, raw: RawBody, tribrid: Facade) -> Json:
    """Named by the hash of its content and never edited in place: other content is the next version."""
    return Json(tribrid.put_eval_dataset(corpus_id, judged(raw)))


@router.get(
    "/corpora/{corpus_id}/eval_dataset",
    summary="The eval dataset",
    responses=answers("Its hash, version and queries.", {**_EVAL_DATASET, **_FORM}),
)
def eval_dataset(corpus_id: str, tribrid: Facade) -> Json:
    """The current version. 409 if none was ever put."""
    return Json(tribrid.eval_dataset(corpus_id))


def judged(raw: bytes) -> list[JudgedQuery]:
    """The judged queries of a body, in either form.

    Raises:
        InvalidInput: names the query, line and field that is wrong.
    """
    try:
        body = parse_json(raw)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The body is not valid JSON: {error.msg}.", field="body") from None
    if not isinstance(body, dict) or "qrels" not in body:
        return parse_judged_queries(body)
    texts, qrels = body.get("queries"), body["qrels"]
    if not isinstance(texts, dict) or not isinstance(qrels, str):
        raise InvalidInput(
            'With qrels, the body is {"queries": {query_id: text}, "qrels": "1 0 a 1"}.', field="queries"
        )
    return parse_judged_queries({"queries": [_entry(query) for query in judged_queries(texts, parse_qrels(qrels))]})


def _entry(query: JudgedQuery) -> dict[str, Any]:
    return {"query_id": query.query_id, "text": query.text, "judgments": query.judgments}
