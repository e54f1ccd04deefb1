"""Every error as `application/problem+json` (RFC 9457): a stable `code`, a string `detail`, the facts, an id.

`detail` always says what happened and what to do. An exception that nobody raised on purpose is logged with its
traceback and answered with its id alone: what went wrong inside is no business of the caller's.
"""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.dialects import in_dialect, routes_meant
from tribrid.api.pages import Pages, is_page
from tribrid.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    RateLimited,
    TooLarge,
    TribridError,
    Unauthorized,
    Unavailable,
    UnknownSetting,
)

RETRY_AFTER_S = 2
MAX_FAULTS = 20
MAX_ECHO_CHARS = 200
_KINDS: dict[int, type[TribridError]] = {400: InvalidInput, 404: NotFound, 413: TooLarge, 422: InvalidInput}
_BODY = "body"
_log = logging.getLogger(__name__)


class Problem(Json):
    """An RFC 9457 problem as a response."""

    media_type = "application/problem+json"


def handle_problems(app: FastAPI) -> None:
    """Give every error that a route of the app raises the form of a problem."""
    app.add_exception_handler(TribridError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)


async def _on_error(request: Request, error: Exception) -> Response:
    return problem_response(request, error)


def request_id_of(request: Request) -> str:
    """The id that edge.py gave the request; empty where it did not run."""
    return str(getattr(request.state, "request_id", ""))


def problem_response(request: Request, error: Exception) -> Response:
    """The response to any exception: a problem, or of a page a page. One that is the server's fault is logged, with its
    traceback.
    """
    request_id = request_id_of(request)
    if isinstance(error, HTTPException):
        body, headers = _http_problem(request, error)
    elif isinstance(error, RequestValidationError):
        body, headers = _validation_problem(request, error.errors()), {}
    else:
        body, headers = problem_of(error, request_id), _headers(error)
    if request_id:
        body["request_id"] = request_id
    pages: Pages | None = getattr(request.app.state, "pages", None)
    if pages is not None and is_page(request.scope["path"]):
        return pages.refusal(request, body)
    body = in_dialect(request, body)
    return Problem(body, status_code=body["status"], headers=headers)


def problem_of(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """The problem of an exception; one that is the server's fault is logged, with its traceback."""
    if isinstance(error, TribridError):
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("Request %s failed: %s", request_id, error.code, exc_info=error)
        return error.problem()
    _log.error("Request %s failed unexpectedly.", request_id, exc_info=error)
    return TribridError(
        "Something failed inside Tribrid that should not have. The server's log has the details under this "
        "request_id; please report it with them."
    ).problem()


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Forbidden):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    if isinstance(error, Overloaded | RateLimited):
        return {"Retry-After": str(math.ceil(error.facts.get("retry_after_s", RETRY_AFTER_S)))}
    return {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else {}


def _http_problem(request: Request, error: HTTPException) -> tuple[dict[str, Any], Mapping[str, str]]:
    """What the framework refuses by itself: no such route, wrong method, a body over its limit."""
    status = HTTPStatus(error.status_code)
    path, headers, detail = request.scope["path"][:MAX_ECHO_CHARS], dict(error.headers or {}), str(error.detail)
    kind = _KINDS.get(status)
    code, title = (kind.code, kind.title) if kind else (status.name.lower(), status.phrase)
    if status is HTTPStatus.NOT_FOUND:
        meant = ", ".join(routes_meant(path))
        detail = f"There is no route {path!r}. " + (
            f"There are: {meant}." if meant else "GET /docs lists all there are."
        )
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} is not a method of {path!r}; these are: {headers['Allow']}."
    body = {"type": f"urn:tribrid:problem:{code}", "title": title, "status": int(status), "code": code}
    return {**body, "detail": detail}, headers


def _methods(request: Request) -> set[str]:
    """The methods of all routes that share the path: the framework names only the first one's."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.scope["path"]):
            methods |= route.methods or set()
    return methods


def _validation_problem(request: Request, faults: Sequence[Any]) -> dict[str, Any]:
    """The first fault in words, all of them (up to 20) as facts."""
    words = [_fault(request, fault) for fault in faults[:MAX_FAULTS]]
    first = words[0]
    kind = UnknownSetting if faults[0]["type"] == "extra_forbidden" else InvalidInput
    return kind(f"{first['field']}: {first['message']}", errors=words, field=first["field"]).problem()


def _fault(request: Request, fault: Mapping[str, Any]) -> dict[str, str]:
    place, *names = (str(part) for part in fault["loc"])
    if fault["type"] == "json_invalid":
        return {"field": _BODY, "message": f"The body is not valid JSON: {fault['ctx']['error']}."}
    field = ".".join(names) or place
    if place == _BODY and not names:
        return {"field": field, "message": _no_object(request)}
    if fault["type"] == "extra_forbidden":
        return {"field": field, "message": _unknown_field(request, names[-1])}
    if fault["type"] == "missing":
        return {"field": field, "message": f"This field of the {place} is required."}
    return {"field": field, "message": str(fault["msg"])}


def _no_object(request: Request) -> str:
    sent = request.headers.get("content-type")
    if sent is None or "json" not in sent.lower():
        # Not read as JSON on purpose: a form of any web page can send other types without asking the browser.
        named = f"not {sent[:MAX_ECHO_CHARS]!r}" if sent else "and none was sent"
        return f"Send a JSON object with the header Content-Type: application/json ({named})."
    return "The body must be a JSON object."


def _unknown_field(request: Request, name: str) -> str:
    known = list(_fields(request))
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f" There are: {', '.join(known)}." if known else ""
    return f"There is no such field or setting.{hint}{listed}"


def _fields(request: Request) -> Iterator[str]:
    """The fields of the body that the route takes, as far as it says."""
    body = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(body, "field_info", None), "annotation", None)
    yield from getattr(annotation, "model_fields", {})
