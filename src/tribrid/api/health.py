"""Is the process up, is it ready, how is it doing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.openapi import answers
from tribrid.api.readiness import Readiness
from tribrid.errors import TribridError
from tribrid.version import __version__

router = APIRouter(tags=["operation"])


# Async, and they never wait: they must answer even when every thread is busy.
@router.get("/health", summary="The process is up", responses=answers("Always.", {"status": "ok", "version": "0.1.0"}))
async def health() -> Json:
    """The only route that never asks for an API key."""
    return Json({"status": "ok", "version": __version__})


@router.get("/ready", summary="Searches are fast", responses=answers("The models are loaded.", {"status": "ready"}))
async def ready(request: Request) -> Json:
    """503 with Retry-After while the models are being loaded, or if they cannot be, and why."""
    readiness: Readiness = request.app.state.readiness
    readiness.check()
    return Json({"status": "ready"})


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
def metrics(request: Request) -> Response:
    """Requests and their time by route template, searches and their stages, fallbacks by reason, clicks by rank and
    model, jobs, which model serves, and the process.
    """
    state: Any = request.app.state
    try:
        seen = state.tribrid.gauges()
    except TribridError:
        seen = None  # the rest is needed most when the database is gone; tribrid_store_up tells it
    engine = state.tribrid.folder.runtime.engine
    text = state.telemetry.text(ready=state.readiness.ready, seen=seen, engine=engine.view() if engine else None)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
