"""Search, what users did with the results, and search logs from elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tribrid.answers.jobs import Interruption
from tribrid.answers.logs import LogImport, LogStats
from tribrid.answers.search import FeedbackAnswer, SearchAnswer
from tribrid.api.answers import Json
from tribrid.api.attending import attended
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute, max_upload_bytes, upload
from tribrid.api.openapi import takes
from tribrid.api.schemas import FeedbackBody, SearchBody
from tribrid.api.waiting import work_response
from tribrid.encoders.budget import Budget
from tribrid.types import Signal

router = APIRouter(tags=["search"], route_class=JsonRoute)

_IMPRESSION = '{"query_id": "q1", "query": "leave", "timestamp": "2026-01-02T03:04:05Z", "shown": ["a", "b"]}\n'
_LOGS = takes(
    {
        "application/x-ndjson": _IMPRESSION + '{"query_id": "q1", "signal": "click", "doc_id": "b"}\n',
        "text/csv": "query,doc_id,timestamp\nleave,b,2026-01-02T03:04:05Z\n",
    },
    "Query and event records, mixed and in any order, or clicks: one JSON object a line, or an array of them. Clicks "
    "also as CSV with a header.",
)


@router.post("/search", summary="Search", response_model=SearchAnswer, response_description="The best documents.")
async def search(body: SearchBody, request: Request, tribrid: Facade) -> Json:
    """Writes what it shows to the log before it answers: give `query_id` back with POST /feedback. If the reranker
    should have run and did not, `fallback_reason` says why and the order is the first stage's; if its time was over
    before it had read everything, `reranked_candidates` says how many it ranked, and `note` what became of the rest.
    While an experiment runs `model_id` names both models whose rankings are mixed, joined by +. 429 with Retry-After
    when more is asked at once than this machine takes.
    """

    def work(budget: Budget) -> SearchAnswer:
        wanted = body.model_dump(exclude={"corpus_id"})
        return tribrid.corpus(body.corpus_id).search(**wanted, budget=budget)

    found = await attended(request, work)
    request.app.state.telemetry.searched(found.reranked, found.model_id, found.note)
    return Json(found)


@router.post(
    "/feedback",
    summary="Tell what a user did with a result",
    response_model=FeedbackAnswer,
    response_description="It is stored.",
)
def feedback(body: FeedbackBody, request: Request, tribrid: Facade) -> Json:
    """404 for a query_id that nobody was given, 422 for a document that was not shown: neither is ever "ok". For a
    rerank `query_id` is the `id` of its answer.
    """
    done = tribrid.feedback(body.query_id, body.signal, doc_id=body.doc_id, value=body.value, index=body.index)
    if body.signal is Signal.CLICK and done.doc_id is not None:
        request.app.state.telemetry.clicked(tribrid.store.logs.impression(body.query_id), done.doc_id)
    return Json(done)


@router.post(
    "/corpora/{corpus_id}/logs",
    summary="Import search logs",
    openapi_extra=_LOGS,
    response_model=LogImport | Interruption,
    response_description="What was taken, how much of it joined, and what was not taken and why.",
)
async def import_logs(
    corpus_id: str,
    request: Request,
    tribrid: Facade,
    format: Annotated[
        Literal["native", "ubi", "clicks"],
        Query(description="Tribrid's own, OpenSearch UBI 1.3, or clicks without impressions."),
    ] = "native",
) -> Response:
    """Feedback counts if its query_id names an impression, of the same import or stored before, that showed its
    document. A log of which nothing joins is a 422 that names the likely cause, and leaves nothing behind. For `clicks`
    the lists that were shown are reconstructed from the corpus's retrieval, each query asked once. After a second the
    status is 200 whatever happens, as in an upload of documents: look at the body.
    """
    await run_in_threadpool(tribrid.corpus(corpus_id).require)
    body = await upload(request, await run_in_threadpool(max_upload_bytes, tribrid), tribrid.environment.data_dir)

    def read() -> LogImport:
        with body:
            return tribrid.corpus(corpus_id).logs.add(body, format=format)

    return await work_response(request, read)


@router.get(
    "/corpora/{corpus_id}/logs/stats",
    summary="How much was logged",
    response_model=LogStats,
    response_description="Impressions, feedback by signal, fallbacks.",
)
def log_stats(corpus_id: str, tribrid: Facade) -> Json:
    """How many impressions there are, how many have feedback, and of which kinds."""
    return Json(tribrid.corpus(corpus_id).logs.stats())
