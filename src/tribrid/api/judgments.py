"""Relevance judgments to train from, and the two forms that they and the fixed eval dataset (evalsets.py) are taken in.

JSON judged queries, or the texts of queries (or TREC topics) beside TREC or BEIR qrels, which name queries by id alone:

    {"queries": [{"query_id": "1", "text": "annual leave", "judgments": {"a": 1}}]}
    {"queries": {"1": "annual leave"}, "qrels": "1 0 a 1"}      {"topics": "1<tab>annual leave", "qrels": "1 0 a 1"}
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tribrid.answers.jobs import Interruption
from tribrid.answers.judgments import Agreement, GivenBy, JudgedBy, JudgedQueries, StoredJudgments
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import MAX_JUDGMENTS_BYTES, whole_body
from tribrid.api.openapi import takes
from tribrid.api.strictjson import parse_json
from tribrid.api.waiting import work_response
from tribrid.corpus.evalfiles import parse_labels
from tribrid.errors import InvalidInput
from tribrid.types import JudgedQuery

router = APIRouter(tags=["labels"])

FORM = {"queries": [{"query_id": "1", "text": "annual leave", "judgments": {"a": 1, "b": 0}}]}
_BODY = takes(
    {"application/json": FORM},
    'Judged queries, or `{"queries": {query_id: text}, "qrels": "..."}` with qrels in TREC\'s four columns or '
    "BEIR's three. A grade of 1 or more is relevant.",
)


async def _raw(request: Request) -> bytes:
    return await whole_body(request, MAX_JUDGMENTS_BYTES)


RawBody = Annotated[bytes, Depends(_raw)]


@router.put(
    "/corpora/{corpus_id}/judgments",
    summary="Put judgments to train from",
    openapi_extra=_BODY,
    response_model=StoredJudgments | Interruption,
    response_description="What is stored now; judged documents that the corpus lacks are counted and named.",
)
async def put_judgments(
    corpus_id: str,
    request: Request,
    raw: RawBody,
    tribrid: Facade,
    replace: Annotated[bool, Query(description="Drop all judgments there were before.")] = False,
    judge: Annotated[
        str | None, Query(description="Whose grades they are; without it nobody's.", max_length=512)
    ] = None,
    by: Annotated[
        GivenBy, Query(description="Whether the judge is a person or a model. Of a model's grades nothing is learned.")
    ] = "person",
) -> Response:
    """Queries of the eval dataset are never trained on: they are named in `in_eval_dataset`. With `judge`, what he said
    is kept beside what others say, so that their agreement can be told. After a second the
    status is 200 whatever happens, as in an upload of documents: look at the body.
    """
    await run_in_threadpool(tribrid.corpus(corpus_id).require)
    queries, bundle = await run_in_threadpool(judged, raw)
    judgments = tribrid.corpus(corpus_id).judgments
    return await work_response(
        request, lambda: judgments.put(queries, replace=replace, bundle=bundle, judge=judge, by=by)
    )


@router.get(
    "/corpora/{corpus_id}/judgments",
    summary="The judgments",
    response_model=JudgedQueries,
    response_description="All of them.",
)
def judgments(corpus_id: str, tribrid: Facade) -> Json:
    """In the form in which they can be put back."""
    return Json(tribrid.corpus(corpus_id).judgments.get())


@router.get(
    "/corpora/{corpus_id}/judgments/ratings",
    summary="Who judged what",
    response_model=JudgedBy,
    response_description="Every rating of a judge who is known, with his note.",
)
def ratings(corpus_id: str, tribrid: Facade) -> Json:
    """Of judgments that were put without a judge, nobody knows whose they are: they are not among these."""
    return Json(tribrid.corpus(corpus_id).judgments.ratings())


@router.get(
    "/corpora/{corpus_id}/judgments/agreement",
    summary="How far two judges agree",
    response_model=Agreement,
    response_description="Weighted kappa with its interval, and every document that they graded differently.",
)
def agreement(
    corpus_id: str,
    tribrid: Facade,
    a: Annotated[str, Query(description="A judge.", examples=["anna"])],
    b: Annotated[str, Query(description="Another.", examples=["a-model"])],
) -> Json:
    """Only documents that both rated count."""
    return Json(tribrid.corpus(corpus_id).judgments.agreement(a, b))


def judged(raw: bytes) -> tuple[list[JudgedQuery], dict[str, Any]]:
    """The judged queries of a body, in either form, and what else it holds.

    Raises:
        InvalidInput: names the query, line and field that is wrong.
    """
    body = json_body(raw)
    return parse_labels(body), body if isinstance(body, dict) else {}


def json_body(raw: bytes) -> object:
    """The body's JSON.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return parse_json(raw)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"The body is not valid JSON: {error.msg}.", field="body") from None
