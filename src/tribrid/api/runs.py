"""Training runs and other jobs: look, follow, compare, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.metrics_stream import NDJSON, SSE, last_event_id, stream
from tribrid.api.openapi import answers
from tribrid.api.schemas import MAX_ROWS, OfCorpus

router = APIRouter(tags=["runs"])

_RUN = {"run_id": "b7e0", "corpus_id": "tribrid", "state": "running", "model_id": None, "metrics": {"ndcg@10": 0.71}}
_EVENT = '{"seq": 1, "type": "metrics", "at": "2026-01-02T03:04:05+00:00", "data": {"epoch": 1}}\n'
_DIFF = {
    "a": "b7e0",
    "b": "c1f4",
    "differences": {
        "config.epochs": {"a": 1, "b": 2, "change": 1},
        "metrics.cross_encoder.dev_ndcg@10": {"a": 0.71, "b": 0.72, "change": 0.01},
    },
    "notes": [],
    "evaluations": {"a": "77d1", "b": None},
}
RunId = Annotated[str, Query(max_length=64, description="A run.")]


@router.get("/reranker/train/runs", summary="The corpus's training runs, newest first")
def runs(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Each with its state, and the model it made."""
    return Json({"runs": tribrid.corpus(corpus_id).runs()})


@router.get(
    "/reranker/train/diff",
    summary="Two runs side by side: settings, data, metrics",
    responses=answers("What differs, by dotted name.", _DIFF),
)
def diff(a: RunId, b: RunId, tribrid: Facade) -> Json:
    """Settings, data, base model, library versions, metrics, and the last value of each number told while training.
    `notes` say in words what may not be compared; `evaluations` has each run's newest evaluation, to compare those.
    """
    return Json(tribrid.runs.diff(a, b))


@router.get(
    "/reranker/train/run/{run_id}", summary="Inspect a training run", responses=answers("The run as it stands.", _RUN)
)
def run(run_id: str, tribrid: Facade) -> Json:
    """Its state, settings, metrics so far, and the model it made."""
    return Json(tribrid.runs.get(run_id))


@router.get(
    "/reranker/train/run/{run_id}/metrics",
    summary="Follow a training run",
    responses={200: {"description": "Events.", "content": {NDJSON: {"example": _EVENT}, SSE: {"example": "id: 1\n"}}}},
)
def metrics(
    run_id: str,
    request: Request,
    tribrid: Facade,
    follow: Annotated[bool, Query(description="Go on to the run's end, or stop at what there is.")] = True,
    after_seq: Annotated[int, Query(ge=0, le=MAX_ROWS, description="Leave out events up to this one.")] = 0,
    last_event: Annotated[str | None, Header(alias="Last-Event-ID", description="The same, for SSE clients.")] = None,
) -> Response:
    """All events from the first, as they come, to the run's end: `log`, `progress`, `metrics`, `state`, `error`,
    `complete`. NDJSON, or Server-Sent Events with `Accept: text/event-stream`. A quiet run sends an empty line (SSE: a
    comment) every 2 seconds.
    """
    seen = last_event_id(request)
    return stream(request, tribrid, run_id, after_seq=after_seq if seen is None else seen, follow=follow)


@router.post("/reranker/train/run/{run_id}/cancel", summary="Cancel a training run")
def cancel(run_id: str, tribrid: Facade) -> Json:
    """One that waits is cancelled at once, one that runs within about ten seconds. 409 if it has ended."""
    return Json(tribrid.jobs.cancel(run_id))


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job: mining, training or evaluation")
def cancel_job(job_id: str, tribrid: Facade) -> Json:
    """One that waits is cancelled at once, one that runs within about ten seconds. 409 if it has ended."""
    return Json(tribrid.jobs.cancel(job_id))


@router.get("/jobs/{job_id}", summary="One job: mining, training or evaluation")
def job(job_id: str, tribrid: Facade) -> Json:
    """`state` is queued, running, succeeded, failed or cancelled; `result` or `problem` tells the rest."""
    return Json(tribrid.jobs.get(job_id))
