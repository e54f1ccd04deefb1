"""Training runs and other jobs: look, follow, compare, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from tribrid.answers.difference import RunDifference
from tribrid.answers.jobs import JobStatus, RunEvent, RunList, TrainingRun
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.metrics_stream import NDJSON, SSE, last_event_id, stream
from tribrid.api.openapi import TEXT, content
from tribrid.api.schemas import MAX_ROWS, OfCorpus

router = APIRouter(tags=["runs"])

RunId = Annotated[str, Query(max_length=64, description="A run.")]


@router.get("/reranker/train/runs", summary="The corpus's training runs, newest first", response_model=RunList)
def runs(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Each with its state, and the model it made."""
    return Json(RunList(runs=tuple(tribrid.corpus(corpus_id).runs())))


@router.get(
    "/reranker/train/diff",
    summary="Two runs side by side: settings, data, metrics",
    response_model=RunDifference,
    response_description="What differs, by dotted name.",
)
def diff(a: RunId, b: RunId, tribrid: Facade) -> Json:
    """Settings, data, base model, library versions, metrics, and the last value of each number told while training.
    `notes` say in words what may not be compared; `evaluations` has each run's newest evaluation, to compare those.
    """
    return Json(tribrid.runs.diff(a, b))


@router.get(
    "/reranker/train/run/{run_id}",
    summary="Inspect a training run",
    response_model=TrainingRun,
    response_description="The run as it stands.",
)
def run(run_id: str, tribrid: Facade) -> Json:
    """Its state, settings, metrics so far, and the model it made."""
    return Json(tribrid.runs.get(run_id))


@router.get(
    "/reranker/train/run/{run_id}/metrics",
    summary="Follow a training run",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The events, one a line.", "content": {NDJSON: content(RunEvent), SSE: TEXT}},
        204: {"description": "To an SSE client that has them all: the run is over."},
    },
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


@router.post("/reranker/train/run/{run_id}/cancel", summary="Cancel a training run", response_model=JobStatus)
def cancel(run_id: str, tribrid: Facade) -> Json:
    """One that waits is cancelled at once, one that runs within about ten seconds. 409 if it has ended."""
    return Json(tribrid.jobs.cancel(run_id))


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job: mining, training or evaluation", response_model=JobStatus)
def cancel_job(job_id: str, tribrid: Facade) -> Json:
    """One that waits is cancelled at once, one that runs within about ten seconds. 409 if it has ended."""
    return Json(tribrid.jobs.cancel(job_id))


@router.get("/jobs/{job_id}", summary="One job: mining, training or evaluation", response_model=JobStatus)
def job(job_id: str, tribrid: Facade) -> Json:
    """`state` is queued, running, succeeded, failed or cancelled; `result` or `problem` tells the rest."""
    return Json(tribrid.jobs.get(job_id))
