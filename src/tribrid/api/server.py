"""The app, and the process that serves it.

create_app(tribrid)          for any ASGI server: its lifespan starts the worker and warms the models
serve(tribrid, host, port)   uvicorn, until SIGINT or SIGTERM; never open to a network without an API key
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from tribrid.api import (
    config,
    corpora,
    docs,
    documents,
    erasure,
    evalsets,
    health,
    judgments,
    models,
    rerank,
    reranker,
    runs,
    search,
)
from tribrid.api.attending import Admission
from tribrid.api.auth import Guard
from tribrid.api.connections import (
    ACCEPT_AT_ONCE,
    Connection,
    Room,
    most_connections,
    out_of_files,
    raise_open_files,
)
from tribrid.api.dialects import RerankPaths
from tribrid.api.edge import Edge
from tribrid.api.limits import MIB
from tribrid.api.openapi import DESCRIPTION, PROBLEMS, TAGS, document
from tribrid.api.pages import HOME, PREFIX, Pages
from tribrid.api.parameters import known_parameters
from tribrid.api.problems import handle_problems
from tribrid.api.readiness import Readiness
from tribrid.api.scopes import authorise
from tribrid.api.telemetry import Telemetry
from tribrid.api.tracing import Tracing, tracing
from tribrid.api.waiting import LongWork
from tribrid.app import Tribrid
from tribrid.cloud.line import is_loopback
from tribrid.errors import InvalidInput, Unavailable
from tribrid.observing import log_to_stderr
from tribrid.version import __version__

# Streams and waits end by themselves when the server stops; this is for clients that do not read.
STOP_S = 5
BACKLOG = 2048
TICKS_A_SECOND = 10
"""How often uvicorn calls on_tick."""


def create_app(tribrid: Tribrid, traced: Tracing | None = None, pages: Pages | None = None) -> FastAPI:
    """The HTTP surface of this Tribrid, which stays the caller's to close.

    Args:
        traced: where spans go; None: as TRIBRID_TRACING says.
        pages: the pages for people; None: there are none.

    Raises:
        MissingExtra: it is to be traced, and OpenTelemetry is not installed.
    """
    telemetry = Telemetry(traced or tracing(tribrid.environment.tracing))
    app = FastAPI(
        title="Tribrid",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=PROBLEMS,
        dependencies=[Depends(authorise), Depends(known_parameters)],
    )
    app.state.tribrid = tribrid
    app.state.telemetry = telemetry
    app.state.readiness = Readiness(tribrid.warm, tribrid.condition, tribrid.finish_uploads)
    app.state.long_work = LongWork()
    serving = tribrid.folder.config().serving
    app.state.admission = Admission(serving.max_requests)
    app.state.max_rerank_bytes = serving.max_rerank_mb * MIB
    app.openapi = partial(document, app)  # type: ignore[method-assign]
    handle_problems(app)
    guard = Guard(tribrid.environment.api_key, tribrid.access_rules)
    app.state.guard, app.state.sessions = guard, guard.sessions
    app.add_middleware(RerankPaths)
    app.add_middleware(Edge, guard=guard, telemetry=telemetry)
    for router in routers():
        app.include_router(router)
    if pages is not None:
        app.state.pages = pages
        # Not included as a router: the pages have scopes and parameters of their own.
        app.router.routes += [
            Route(path, pages.app, include_in_schema=False) for path in (HOME, f"{PREFIX}{{rest:path}}")
        ]
    telemetry.routes(_routes(app))
    return app


def _routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Each method and path template that the app answers."""
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            yield method, str(getattr(route, "path", ""))


def routers() -> list[APIRouter]:
    """Every router, in the order of the docs."""
    modules = (
        corpora,
        documents,
        judgments,
        evalsets,
        search,
        erasure,
        rerank,
        reranker,
        runs,
        models,
        config,
        health,
        docs,
    )
    return [module.router for module in modules]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    readiness: Readiness = app.state.readiness
    await run_in_threadpool(app.state.tribrid.supervisor.ensure_worker)
    readiness.start()
    yield
    readiness.stop()


def serve(tribrid: Tribrid, host: str, port: int, pages: Pages | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        port: 0 for any that is free.
        pages: as of `create_app`.

    Raises:
        InvalidInput: the host is not this machine's own and no API key is set.
        Unavailable: the address is taken, or is not this machine's.
    """
    if not is_loopback(host) and tribrid.environment.api_key is None and not tribrid.access_rules().closed:
        raise InvalidInput(
            f"Without an API key the server listens on loopback only, not on {host!r}. Set TRIBRID_API_KEY, or make "
            "keys with `tribrid keys create`.",
            host=host,
        )
    listener = listen(host, port)
    log_to_stderr(tribrid.environment.log_format, tribrid.environment.log_level)
    raise_open_files()
    Server(create_app(tribrid, pages=pages)).run([listener])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Unavailable: the address is taken, or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name, which socket.create_server leaves out: without it asyncio does not know that this is TCP,
    # leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another with --port or TRIBRID_PORT.",
            host=host,
            port=port,
        ) from error
    return listener


class Server(uvicorn.Server):
    """uvicorn, which tells what waits and streams that it is about to stop, and returns when it has; its connections
    are bounded in number and time.
    """

    def __init__(self, app: FastAPI) -> None:
        self._room = Room(most_connections())
        # Its access lines would hold whole URLs; edge.py writes ours. How lines look is the process's to say.
        config = uvicorn.Config(
            app,
            http=partial(Connection, self._room),  # type: ignore[arg-type]
            ws="none",
            backlog=ACCEPT_AT_ONCE,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
            log_config=None,
            access_log=False,
            lifespan="on",
        )
        super().__init__(config)
        self._long_work: LongWork = app.state.long_work

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in good order; at once with a second SIGINT. uvicorn's own would then raise the signal again, and end
        the process before its caller could close anything.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        for listener in sockets or []:
            listener.listen(BACKLOG)  # how many may queue, which for asyncio is the same as how many it takes at once

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_SECOND == 0:
            self._room.sweep(time.monotonic())
        return await super().on_tick(counter)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if out_of_files(context):
            self._room.not_accepted()
        else:
            loop.default_exception_handler(context)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._long_work.stopping = True
        await super().shutdown(sockets)
