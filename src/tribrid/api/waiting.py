"""Answers that take minutes, for clients that give up after seconds without a byte (httpx: 5).

The response starts at once with status 200; while the work goes on its body is JSON whitespace, then the JSON. So a
client that knows nothing of this just waits. What can be known at once was refused with a 4xx before; what fails later
is a body with `"status": "failed"` and the problem. The work never depends on the client: one that goes away leaves a
job or an upload behind that runs to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Literal

import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from tribrid.answers.jobs import Interruption, JobAddress, JobInterruption, JobProblem
from tribrid.api.answers import Json, json_bytes
from tribrid.api.problems import problem_of, request_id_of
from tribrid.app import Tribrid
from tribrid.errors import Unavailable
from tribrid.types import Job

BEAT_S = 1.0
SHORTEST_POLL_S = 0.05
LONGEST_POLL_S = 0.5
# Work that ends this soon is answered with a status of its own.
FIRST_BYTE_S = 1.0
# Work in threads for minutes, at once; the rest queues, so that searches keep their threads.
MAX_LONG_WORK = 4

Answer = BaseModel | Mapping[str, object]
_WHITESPACE = b" "
# A proxy that collects the body before it sends it on would undo all this.
STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LongWork:
    """What the app has going on behind its responses, and whether it is about to stop."""

    def __init__(self) -> None:
        self.stopping = False
        self.threads = anyio.CapacityLimiter(MAX_LONG_WORK)
        # asyncio itself keeps no task from being collected.
        self.tasks: set[asyncio.Task[object]] = set()


def prefers_async(request: Request) -> bool:
    """Whether the request says `Prefer: respond-async` (RFC 7240)."""
    preferences = ",".join(request.headers.getlist("prefer")).split(",")
    return any(preference.strip().lower() == "respond-async" for preference in preferences)


def accepted(body: JobAddress) -> Json:
    """202: the work is queued, and `status_url` is where to look."""
    return Json(body, status_code=202, headers={"Location": body.status_url})


def job_address(tribrid: Tribrid, job: Job) -> JobAddress:
    """What a job is, where to look for it, and what it will cost."""
    return JobAddress(
        job_id=job.job_id,
        kind=job.kind,
        corpus_id=job.corpus_id,
        state=job.state,
        status_url=f"/jobs/{job.job_id}",
        cost_estimate=tribrid.corpus(job.corpus_id).estimate(job.kind, job.params),
    )


def job_response(request: Request, tribrid: Tribrid, job: Job, *, wait: bool) -> Response:
    """The job's outcome once there is one, or with `wait` off (or `Prefer: respond-async`) its address at once."""
    if not wait or prefers_async(request):
        return accepted(job_address(tribrid, job))
    stopped = "The server stops. The job goes on when it runs again: ask at status_url."
    body = _beating(request, partial(_outcome, tribrid, job.job_id), job_address(tribrid, job), stopped)
    return StreamingResponse(body, media_type=Json.media_type, headers=STREAMED)


async def work_response(request: Request, work: Callable[[], object]) -> Response:
    """What `work` returns: with a status of its own if that is soon, else in a body that starts before.

    Runs in a thread, to its end even if the client goes away.

    Raises:
        TribridError: as `work`, if it fails soon.
    """
    going: LongWork = request.app.state.long_work
    task = asyncio.create_task(_in_thread(work, going.threads))
    going.tasks.add(task)
    task.add_done_callback(going.tasks.discard)
    await asyncio.wait({task}, timeout=FIRST_BYTE_S)
    if task.done():
        return Json(task.result())
    stopped = "The server stops before this is done. What was taken so far stays; send it again for the rest."
    body = _beating(request, partial(asyncio.shield, task), None, stopped)
    return StreamingResponse(body, media_type=Json.media_type, headers=STREAMED)


async def _in_thread(work: Callable[[], object], threads: anyio.CapacityLimiter) -> object:
    return await anyio.to_thread.run_sync(work, limiter=threads)


async def _outcome(tribrid: Tribrid, job_id: str) -> Answer:
    """The outcome of a job. Looks at it from time to time: a thread that waits would be one search less."""
    poll_s = SHORTEST_POLL_S
    while True:
        job = await run_in_threadpool(tribrid.jobs.wait, job_id, timeout_s=0.0)
        if job.state.final:
            return await run_in_threadpool(tribrid.jobs.outcome, job)
        await asyncio.sleep(poll_s)
        poll_s = min(poll_s * 1.3, LONGEST_POLL_S)


async def _beating(
    request: Request, work: Callable[[], Awaitable[object]], about: JobAddress | None, stopped: str
) -> AsyncIterator[bytes]:
    """Whitespace every `BEAT_S` until the answer is there, then the answer.

    As the status is spoken for, a failure or a stop of the server is told in the body, beside `about`.
    """
    going: LongWork = request.app.state.long_work
    answer = asyncio.ensure_future(work())
    try:
        while not answer.done() and not going.stopping:
            yield _WHITESPACE
            await asyncio.wait({answer}, timeout=BEAT_S)
        yield await run_in_threadpool(_last_words, answer, request_id_of(request), about, stopped)
    finally:
        answer.cancel()


def _last_words(answer: asyncio.Future[object], request_id: str, about: JobAddress | None, stopped: str) -> bytes:
    if not answer.done():
        return json_bytes(_interruption(about, "interrupted", Unavailable(stopped).problem()))
    error = answer.exception()
    if error is not None:
        problem = {**problem_of(error, request_id), "request_id": request_id}
        return json_bytes(_interruption(about, "failed", problem))
    return json_bytes(answer.result())


def _interruption(
    about: JobAddress | None, status: Literal["failed", "interrupted"], problem: Mapping[str, object]
) -> Interruption:
    told = JobProblem.model_validate(problem)
    if about is None:
        return Interruption(status=status, problem=told)
    return JobInterruption(**dict(about), status=status, problem=told)
