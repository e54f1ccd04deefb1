"""Is the process up, is it ready, how is it doing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from tribrid.answers.health import Health, Ready
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.readiness import Readiness
from tribrid.errors import TribridError
from tribrid.version import __version__

router = APIRouter(tags=["operation"])


# Async, and they never wait: they must answer even when every thread is busy.
@router.get("/health", summary="The process is up", response_model=Health, response_description="Always.")
async def health() -> Json:
    """The only route that never asks for an API key."""
    return Json(Health(version=__version__))


@router.get("/ready", summary="Searches are fast", response_model=Ready, response_description="The models are loaded.")
async def ready(request: Request) -> Json:
    """503 with Retry-After while the models are being loaded, or if they cannot be, and why."""
    readiness: Readiness = request.app.state.readiness
    readiness.check()
    return Json(Ready())


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
    text = state.telemetry.text(ready=state.readiness.ready, seen=seen, engine=engine.view() if engine else None)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
