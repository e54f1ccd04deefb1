"""Around every request: its id, its time, the key, its line in the log, and an answer whatever happens inside.

The id is the caller's `X-Request-ID` or a new one; it is on every response, in every problem and in the log. The line
names the route's template, never the URL: that may hold what somebody searched for.
"""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tribrid.api.auth import OPEN_PATHS, Caller, Guard
from tribrid.api.connections import CROWDED
from tribrid.api.problems import problem_response
from tribrid.api.telemetry import Telemetry
from tribrid.errors import InvalidInput, Unavailable
from tribrid.observing import FIELDS, watched
from tribrid.observing import request_id as current_request_id

ID_HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logging.getLogger(__name__)


class Edge:
    """Middleware, the outermost but for the framework's own."""

    def __init__(self, app: ASGIApp, guard: Guard, telemetry: Telemetry) -> None:
        self._app = app
        self._guard = guard
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        given = Headers(scope=scope).get(ID_HEADER, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        current_request_id.set(request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = request_id
            await send(message)

        try:
            with self._telemetry.request(scope), watched(self._telemetry):
                await self._answer(scope, receive, send_with_id)
        except ClientDisconnect:
            _log.info("The client went away.")
        except Exception as error:
            if status:  # too late for another answer: the server cuts the connection, so that nobody takes it for whole
                raise
            await problem_response(Request(scope), error)(scope, receive, send_with_id)
        finally:
            self._tell(scope, status, time.monotonic() - started)

    def _tell(self, scope: Scope, status: int, took_s: float) -> None:
        # A method or a path that anybody can make up would grow a label without end.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._telemetry.answered(method, route, status, took_s)
        caller = scope["state"].get("caller")
        fields: dict[str, object] = {"status": status, "took_ms": round(took_s * 1000, 1)}
        if isinstance(caller, Caller):
            fields["caller"] = caller.name
        _log.info("%s %s", method, route, extra={FIELDS: fields})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["state"].get(CROWDED) and scope["path"] not in OPEN_PATHS:
            raise Unavailable("There are as many connections as this server takes. Try again in a few seconds.")
        scope["state"]["caller"] = await self._guard.admit(Request(scope))
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            raise InvalidInput("The URL holds a NUL character.", field="url")
        await self._app(scope, receive, send)
