"""Is the process up, is it ready, how is it doing."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from tribrid.answers.health import Health, Ready
from tribrid.api.answers import Json
from tribrid.api.auth import caller_of
from tribrid.api.facade import Facade
from tribrid.api.readiness import Readiness
from tribrid.app.bounds import Bounds
from tribrid.errors import TribridError
from tribrid.version import __version__

router = APIRouter(tags=["operation"])


# Async, and they never wait for the threads of others: they must answer even when every one of those is busy.
_own_threads = anyio.CapacityLimiter(2)


@router.get("/health", summary="The process is up", response_model=Health, response_description="Always.")
async def health() -> Json:
    """The only route that never asks for an API key."""
    return Json(Health(version=__version__))


@router.get("/ready", summary="Searches are answered", response_model=Ready, response_description="They are.")
async def ready(request: Request) -> Json:
    """503 with Retry-After while the models are being loaded or if they cannot be, and where no search is answered: the
    database is away, or no corpus can be searched. If only some of it does not work, `status` is `degraded` and
    `troubles` say what: a corpus whose index is damaged or gone, documents that are not indexed, a disk that takes no
    log, a scheduled evaluation that failed or found something worse. A key that is bound to corpora hears of those
    alone.
    """
    readiness: Readiness = request.app.state.readiness
    bounds = Bounds(caller_of(request).corpora)
    return Json(await anyio.to_thread.run_sync(readiness.check, bounds, limiter=_own_threads))


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"description": "The text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, tribrid: Facade) -> Response:
    """Requests and their time by route template, searches and their stages, fallbacks by reason, clicks by rank and
    model, jobs, which model serves, and the process.
    """
    state: Any = request.app.state
    try:
        seen = tribrid.gauges()
    except TribridError:
        seen = None  # the rest is needed most when the database is gone; tribrid_store_up tells it
    engine = tribrid.folder.runtime.engine
    readiness: Readiness = state.readiness
    condition = readiness.condition()
    ready = readiness.warm and not condition.troubles
    view = engine.view() if engine else None
    text = state.telemetry.text(ready=ready, seen=seen, engine=view, condition=condition)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
