"""Which scope a key needs for which route. A route that nobody thought of needs `admin`, and a test names it.

search    search and rerank, and what a search page shows: corpora, documents, who reranks
feedback  tell what users did
train     put in documents, judgments and logs; mine, review, train, evaluate; read what came of it
metrics   GET /metrics and GET /ready, for who watches
admin     all of that, and: corpora, eval datasets, settings, which model serves

The eval dataset decides what is promoted, so who may train may not change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from tribrid.api.auth import caller_of
from tribrid.errors import Forbidden
from tribrid.types import Scope

ANY = frozenset({Scope.SEARCH, Scope.FEEDBACK, Scope.TRAIN, Scope.METRICS})
_SEARCH, _FEEDBACK = frozenset({Scope.SEARCH}), frozenset({Scope.FEEDBACK})
_TRAIN, _METRICS = frozenset({Scope.TRAIN}), frozenset({Scope.METRICS})
_READ = _SEARCH | _TRAIN
_ADMIN: frozenset[Scope] = frozenset()
_SAFE = frozenset({"GET", "HEAD"})

_ROUTES: dict[str, frozenset[Scope]] = {
    "GET /health": ANY,
    "GET /ready": ANY,
    "GET /docs": ANY,
    "GET /metrics": _METRICS,
    "POST /search": _SEARCH,
    "POST /feedback": _FEEDBACK,
    "POST /corpora/{corpus_id}/logs": _TRAIN,
    "GET /corpora/{corpus_id}/logs/stats": _TRAIN,
    "GET /corpora": _READ,
    "GET /corpora/{corpus_id}": _READ,
    "GET /corpora/{corpus_id}/documents/{doc_id:path}": _READ,
    "POST /corpora/{corpus_id}/documents": _TRAIN,
    "POST /corpora/{corpus_id}/index": _TRAIN,
    "POST /corpora/{corpus_id}/documents/delete": _TRAIN,
    "DELETE /corpora/{corpus_id}/documents/{doc_id:path}": _TRAIN,
    "PUT /corpora/{corpus_id}/eval_dataset": _ADMIN,
    "POST /reranker/evaluate": _TRAIN,
    "GET /reranker/status": _READ,
    "GET /reranker/info": _READ,
}
"""Any one of these scopes will do, or admin."""

# What the other routes of a tag need: to read, and to change something.
_TAGS: dict[str, tuple[frozenset[Scope], frozenset[Scope]]] = {
    "corpora": (_READ, _ADMIN),
    "labels": (_TRAIN, _TRAIN),
    "search": (_SEARCH, _SEARCH),
    "rerank": (_SEARCH, _SEARCH),
    "reranker": (_TRAIN, _TRAIN),
    "runs": (_TRAIN, _TRAIN),
    "models": (_TRAIN, _ADMIN),
    "config": (_TRAIN, _ADMIN),
}


def scopes_for(method: str, path: str, tags: Iterable[str]) -> frozenset[Scope] | None:
    """The scopes any one of which a route asks for; empty: admin alone. None: nobody said.

    Args:
        path: the route's template.
    """
    named = _ROUTES.get(f"{'GET' if method == 'HEAD' else method} {path}")
    if named is not None:
        return named
    for tag in tags:
        if tag in _TAGS:
            return _TAGS[tag][0 if method in _SAFE else 1]
    return None


_bearer = HTTPBearer(auto_error=False, description="An API key. Not asked for on loopback while there is none.")


async def authorise(request: Request, _: Annotated[object, Security(_bearer)]) -> None:
    """A dependency of every route: pass if the caller's key has a scope for it.

    Raises:
        Forbidden: it has none; says which would do.
    """
    route = request.scope.get("route")
    tags = [str(tag) for tag in route.tags] if isinstance(route, APIRoute) else []
    wanted = scopes_for(request.method, getattr(route, "path", ""), tags) or _ADMIN
    caller = caller_of(request)
    if not caller.may(*wanted):
        names = ", ".join(sorted(wanted | {Scope.ADMIN}))
        raise Forbidden(
            f"This key has the scopes {', '.join(sorted(caller.scopes))}; this route wants one of: {names}. "
            "Make such a key with `tribrid keys create`.",
            scopes=sorted(caller.scopes),
            wanted=sorted(wanted | {Scope.ADMIN}),
        )


def require_admin(request: Request, purpose: str) -> None:
    """For the part of a route that its scope is not enough for.

    Raises:
        Forbidden: the caller's key has not the scope admin.
    """
    if not caller_of(request).may():
        raise Forbidden(f"{purpose} wants a key with the scope admin.", wanted=[Scope.ADMIN])
