"""Search, what users did with the results, and search logs from elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.attending import attended
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute, max_upload_bytes, upload
from tribrid.api.openapi import answers, takes
from tribrid.api.schemas import FeedbackBody, SearchBody
from tribrid.api.waiting import work_response
from tribrid.encoders.budget import Budget
from tribrid.types import Signal

router = APIRouter(tags=["search"], route_class=JsonRoute)

_RESULT = {
    "rank": 1,
    "doc_id": "a",
    "title": "Leave",
    "uri": "file:a.md",
    "text": "Everyone has 30 days.",
    "score": 2.31,
    "passage": {"start": 0, "end": 21},
    "first_stage": {
        "rank": 3,
        "score": 0.71,
        "legs": {"sparse": {"rank": 5, "score": 7.2}, "dense": {"rank": 2, "score": 0.63}},
    },
}
_SEARCHED = {
    "query_id": "0f3a",
    "results": [_RESULT],
    "reranked": True,
    "reranked_candidates": 50,
    "fallback_reason": None,
    "fallback_code": None,
    "note": None,
    "model_id": "5b1e",
    "experiment": None,
    "took_ms": 41.5,
}
_IMPRESSION = '{"query_id": "q1", "query": "leave", "timestamp": "2026-01-02T03:04:05Z", "shown": ["a", "b"]}\n'
_LOGS = takes(
    {
        "application/x-ndjson": _IMPRESSION + '{"query_id": "q1", "signal": "click", "doc_id": "b"}\n',
        "text/csv": "query,doc_id,timestamp\nleave,b,2026-01-02T03:04:05Z\n",
    },
    "Query and event records, mixed and in any order, or clicks: one JSON object a line, or an array of them. Clicks "
    "also as CSV with a header.",
)
_IMPORTED = {
    "corpus_id": "handbook",
    "records": 3,
    "impressions": 1,
    "feedback": 1,
    "known_feedback": 0,
    "unjoined": 1,
    "join_rate": 0.5,
    "unknown_document": 0,
    "unknown_documents": [],
    "reasons": [
        {
            "reason": "the document was not shown",
            "kind": "unjoined",
            "count": 1,
            "example": {"line": 3, "doc_id": "z", "source": ""},
        }
    ],
    "skipped": [{"line": 3, "reason": "the document was not shown"}],
    "skipped_total": 1,
    "took_s": 0.02,
    "rate_per_s": 150.0,
}


@router.post("/search", summary="Search", responses=answers("The best documents, best first.", _SEARCHED))
async def search(body: SearchBody, request: Request, tribrid: Facade) -> Json:
    """Writes what it shows to the log before it answers: give `query_id` back with POST /feedback. If the reranker
    should have run and did not, `fallback_reason` says why and the order is the first stage's; if its time was over
    before it had read everything, `reranked_candidates` says how many it ranked, and `note` what became of the rest.
    While an experiment runs `model_id` names both models whose rankings are mixed, joined by +. 429 with Retry-After
    when more is asked at once than this machine takes.
    """

    def work(budget: Budget) -> dict[str, Any]:
        return tribrid.corpus(body.corpus_id).search(body.query, body.top_k, client_id=body.client_id, budget=budget)

    found = await attended(request, work)
    request.app.state.telemetry.searched(found["reranked"], found["model_id"], found["note"])
    return Json(found)


@router.post(
    "/feedback",
    summary="Tell what a user did with a result",
    responses=answers("It is stored.", {"ok": True, "query_id": "0f3a", "doc_id": "a", "signal": "click"}),
)
def feedback(body: FeedbackBody, request: Request, tribrid: Facade) -> Json:
    """404 for a query_id that nobody was given, 422 for a document that was not shown: neither is ever "ok". For a
    rerank `query_id` is the `id` of its answer.
    """
    done = tribrid.feedback(body.query_id, body.signal, doc_id=body.doc_id, value=body.value, index=body.index)
    if body.signal is Signal.CLICK and done["doc_id"] is not None:
        request.app.state.telemetry.clicked(tribrid.store.logs.impression(body.query_id), done["doc_id"])
    return Json(done)


@router.post(
    "/corpora/{corpus_id}/logs",
    summary="Import search logs",
    openapi_extra=_LOGS,
    responses=answers("What was taken, how much of it joined, and what was not taken and why.", _IMPORTED),
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
    the lists that were shown are reconstructed from the corpus's retrieval, each query asked once.
    """
    await run_in_threadpool(tribrid.corpus(corpus_id).require)
    body = await upload(request, await run_in_threadpool(max_upload_bytes, tribrid), tribrid.environment.data_dir)

    def read() -> dict[str, Any]:
        with body:
            return tribrid.corpus(corpus_id).logs.add(body, format=format)

    return await work_response(request, read)


@router.get(
    "/corpora/{corpus_id}/logs/stats",
    summary="How much was logged",
    responses=answers("Impressions, feedback by signal, fallbacks.", {"impressions": 812, "with_feedback": 97}),
)
def log_stats(corpus_id: str, tribrid: Facade) -> Json:
    """How many impressions there are, how many have feedback, and of which kinds."""
    return Json(tribrid.corpus(corpus_id).logs.stats())
