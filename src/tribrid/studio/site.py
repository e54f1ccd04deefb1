"""All pages together: their routes, the scope that each needs, and how an error looks as one."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from tribrid import api
from tribrid.api.forms import posted
from tribrid.api.pages import HOME, SIGN_IN, Pages
from tribrid.api.scopes import require_scopes
from tribrid.app import Tribrid
from tribrid.studio import (
    documents,
    evaluations,
    experiments,
    files,
    home,
    judge,
    judges,
    keys,
    logs,
    models,
    review,
    runs,
    search,
    settings,
    signin,
)
from tribrid.studio.visit import draw
from tribrid.types import Scope

_SEARCH, _FEEDBACK = frozenset({Scope.SEARCH}), frozenset({Scope.FEEDBACK})
_TRAIN, _READ = frozenset({Scope.TRAIN}), frozenset({Scope.SEARCH, Scope.TRAIN})
_ANY = frozenset({Scope.SEARCH, Scope.FEEDBACK, Scope.TRAIN, Scope.METRICS})
_ADMIN: frozenset[Scope] = frozenset()
_C = "/studio/c/{corpus_id}"

SCOPES: Mapping[str, frozenset[Scope]] = {
    "GET /": _ANY,
    "GET /studio/": _ANY,
    "POST /studio/corpora": _ADMIN,
    "POST /studio/sign-out": _ANY,
    f"GET {_C}": _READ,
    f"POST {_C}/delete": _ADMIN,
    f"GET {_C}/search": _SEARCH,
    f"POST {_C}/search/feedback": _FEEDBACK,
    f"GET {_C}/judge": _TRAIN,
    f"POST {_C}/judge": _TRAIN,
    f"POST {_C}/judge/fix": _ADMIN,
    f"GET {_C}/judge/agreement": _TRAIN,
    f"GET {_C}/judge/ratings.csv": _TRAIN,
    f"GET {_C}/review": _TRAIN,
    f"POST {_C}/review": _TRAIN,
    f"GET {_C}/runs": _TRAIN,
    f"POST {_C}/runs/mine": _TRAIN,
    f"POST {_C}/runs/train": _TRAIN,
    f"POST {_C}/runs/evaluate": _TRAIN,
    f"GET {_C}/runs/compare": _TRAIN,
    f"GET {_C}/runs/{{job_id}}": _TRAIN,
    f"POST {_C}/runs/{{job_id}}/cancel": _TRAIN,
    f"GET {_C}/documents": _TRAIN,
    f"POST {_C}/documents": _TRAIN,
    f"POST {_C}/documents/delete": _TRAIN,
    f"GET {_C}/documents/one": _READ,
    f"GET {_C}/logs": _TRAIN,
    f"POST {_C}/logs": _TRAIN,
    f"POST {_C}/logs/erase": _ADMIN,
    f"GET {_C}/evaluations": _TRAIN,
    f"GET {_C}/evaluations/compare": _TRAIN,
    f"GET {_C}/evaluations/{{evaluation_id}}": _TRAIN,
    f"GET {_C}/evaluations/{{evaluation_id}}/report": _TRAIN,
    f"GET {_C}/evaluations/{{evaluation_id}}/queries.csv": _TRAIN,
    f"GET {_C}/models": _TRAIN,
    f"POST {_C}/models/promote": _ADMIN,
    f"POST {_C}/models/rollback": _ADMIN,
    f"GET {_C}/models/{{model_id}}": _TRAIN,
    f"GET {_C}/models/{{model_id}}/card": _TRAIN,
    f"GET {_C}/models/{{model_id}}/export.zip": _TRAIN,
    f"GET {_C}/experiment": _READ,
    f"POST {_C}/experiment/start": _ADMIN,
    f"POST {_C}/experiment/stop": _ADMIN,
    f"GET {_C}/settings": _TRAIN,
    f"POST {_C}/settings": _ADMIN,
    "GET /studio/settings": _TRAIN,
    "POST /studio/settings": _ADMIN,
    "GET /studio/keys": _ADMIN,
    "POST /studio/keys": _ADMIN,
    "POST /studio/keys/{key_id}/revoke": _ADMIN,
}
"""Every page and form, with what the route of the API needs that does the same. Any one will do, or admin."""
OF_ALL = frozenset(
    {
        "POST /studio/corpora",
        "GET /studio/settings",
        "POST /studio/settings",
        "GET /studio/keys",
        "POST /studio/keys",
        "POST /studio/keys/{key_id}/revoke",
    }
)
"""What tells of every corpus, or holds for all: never for a key that is bound to some."""


def _allowed(request: Request) -> None:
    require_scopes(request, SCOPES, OF_ALL)


def _router() -> APIRouter:
    """What needs a session, and what is shown before there is one."""
    made = APIRouter(include_in_schema=False)
    inside = APIRouter(dependencies=[Depends(_allowed), posted])
    of_corpus = (search, judge, judges, review, runs, evaluations, models, experiments, documents, logs)
    for module in (home, *of_corpus, settings, keys):
        inside.include_router(module.router)
    inside.include_router(signin.inside)
    made.include_router(inside)
    made.include_router(files.router)
    made.include_router(signin.router, dependencies=[posted])
    return made


def refusal(request: Request, problem: Mapping[str, object]) -> Response:
    """An error as a page. Who has not signed in is asked to, and led back. A script gets what to show in the page."""
    status, swapped = int(str(problem["status"])), request.headers.get("hx-request") == "true"
    if status == HTTPStatus.UNAUTHORIZED and request.scope["path"] != SIGN_IN:
        if swapped:
            return Response(status_code=200, headers={"HX-Redirect": SIGN_IN, "Cache-Control": "no-store"})
        if request.method == "GET":
            return RedirectResponse(_sign_in(request), 303, {"Cache-Control": "no-store"})
    detail = str(problem.get("detail", ""))
    if status == HTTPStatus.NOT_FOUND and detail.startswith("There is no route"):
        detail = "There is no page at this address."
    template = "problem-part.html" if swapped else "problem.html"
    made = draw(request, template, code=status, problem={**problem, "detail": detail})
    if swapped:
        made.headers.update({"HX-Retarget": "#main", "HX-Reswap": "innerHTML"})
    return made


def _sign_in(request: Request) -> str:
    """The address of the form that leads back here."""
    query = request.scope["query_string"].decode("latin-1")
    back = request.scope["path"] + (f"?{query}" if query else "")
    return SIGN_IN if back == HOME else f"{SIGN_IN}?{urlencode({'next': back})}"


PAGES = Pages(_router(), refusal)


def create_app(tribrid: Tribrid) -> FastAPI:
    """The HTTP surface with the pages, for any ASGI server; the Tribrid stays the caller's to close."""
    return api.create_app(tribrid, pages=PAGES)


def serve(tribrid: Tribrid, host: str, port: int) -> None:
    """Serve API and pages until SIGINT or SIGTERM.

    Raises:
        InvalidInput, Unavailable: as `tribrid.api.serve`.
    """
    api.serve(tribrid, host, port, PAGES)
