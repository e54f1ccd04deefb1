"""Which scope a key needs for which route. A route that nobody thought of needs `admin`, and a test names it.

search    search and rerank, and what a search page shows: corpora, documents, who reranks
feedback  tell what users did
train     put in documents, judgments and logs; mine, review, train, evaluate; read what came of it
metrics   GET /metrics and GET /ready, for who watches
admin     all of that, and: corpora, erasures, eval datasets, settings, which model serves

The eval dataset decides what is promoted, so who may train may not change it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer

from tribrid.api.auth import caller_of
from tribrid.app.bounds import Bounds
from tribrid.errors import Forbidden
from tribrid.types import Scope

ANY = frozenset({Scope.SEARCH, Scope.FEEDBACK, Scope.TRAIN, Scope.METRICS})
_SEARCH, _FEEDBACK = frozenset({Scope.SEARCH}), frozenset({Scope.FEEDBACK})
_TRAIN, _METRICS = frozenset({Scope.TRAIN}), frozenset({Scope.METRICS})
_READ = _SEARCH | _TRAIN
_ADMIN: frozenset[Scope] = frozenset()

ROUTES: Mapping[str, frozenset[Scope]] = {
    "GET /health": ANY,
    "GET /ready": ANY,
    "GET /docs": ANY,
    "GET /metrics": _METRICS,
    "POST /search": _SEARCH,
    "POST /feedback": _FEEDBACK,
    "POST /rerank": _SEARCH,
    "POST /reranking": _SEARCH,
    "POST /v1/rerank": _SEARCH,
    "POST /v1/reranking": _SEARCH,
    "POST /v2/rerank": _SEARCH,
    "POST /voyage/v1/rerank": _SEARCH,
    "GET /info": _SEARCH,
    "GET /v1/models": _SEARCH,
    "GET /v1/models/{model:path}": _SEARCH,
    "GET /corpora": _READ,
    "POST /corpora": _ADMIN,
    "GET /corpora/{corpus_id}": _READ,
    "DELETE /corpora/{corpus_id}": _ADMIN,
    "POST /corpora/{corpus_id}/documents": _TRAIN,
    "POST /corpora/{corpus_id}/index": _TRAIN,
    "POST /corpora/{corpus_id}/documents/delete": _TRAIN,
    "GET /corpora/{corpus_id}/documents/{doc_id:path}": _READ,
    "DELETE /corpora/{corpus_id}/documents/{doc_id:path}": _TRAIN,
    "GET /corpora/{corpus_id}/judgments": _TRAIN,
    "PUT /corpora/{corpus_id}/judgments": _TRAIN,
    "GET /corpora/{corpus_id}/judgments/ratings": _TRAIN,
    "GET /corpora/{corpus_id}/judgments/agreement": _TRAIN,
    "GET /corpora/{corpus_id}/eval_dataset": _TRAIN,
    "PUT /corpora/{corpus_id}/eval_dataset": _ADMIN,
    "GET /corpora/{corpus_id}/eval_datasets": _TRAIN,
    "GET /corpora/{corpus_id}/eval_dataset/next": _TRAIN,
    "POST /corpora/{corpus_id}/eval_dataset/from_logs": _ADMIN,
    "GET /corpora/{corpus_id}/eval_dataset/check": _TRAIN,
    "POST /corpora/{corpus_id}/logs": _TRAIN,
    "GET /corpora/{corpus_id}/logs/stats": _TRAIN,
    "DELETE /corpora/{corpus_id}/logs/queries/{query_id:path}": _ADMIN,
    "DELETE /corpora/{corpus_id}/logs/clients/{client_id:path}": _ADMIN,
    "POST /corpora/{corpus_id}/erase": _ADMIN,
    "GET /corpora/{corpus_id}/erasures": _ADMIN,
    "GET /corpora/{corpus_id}/config": _TRAIN,
    "PATCH /corpora/{corpus_id}/config": _ADMIN,
    "GET /config": _TRAIN,
    "PATCH /config": _ADMIN,
    "GET /reranker/status": _READ,
    "GET /reranker/info": _READ,
    "GET /reranker/readiness": _TRAIN,
    "POST /reranker/mine": _TRAIN,
    "POST /reranker/judge": _TRAIN,
    "GET /reranker/judge": _TRAIN,
    "POST /reranker/train": _TRAIN,
    "POST /reranker/evaluate": _TRAIN,
    "GET /reranker/triplets": _TRAIN,
    "PATCH /reranker/triplets/{triplet_id}": _TRAIN,
    "GET /reranker/evaluations": _TRAIN,
    "GET /reranker/evaluations/diff": _TRAIN,
    "GET /reranker/evaluations/{evaluation_id}": _TRAIN,
    "GET /reranker/evaluations/{evaluation_id}/queries": _TRAIN,
    "GET /reranker/train/runs": _TRAIN,
    "GET /reranker/train/diff": _TRAIN,
    "GET /reranker/train/run/{run_id}": _TRAIN,
    "GET /reranker/train/run/{run_id}/metrics": _TRAIN,
    "POST /reranker/train/run/{run_id}/cancel": _TRAIN,
    "GET /jobs/{job_id}": _TRAIN,
    "POST /jobs/{job_id}/cancel": _TRAIN,
    "GET /reranker/models": _TRAIN,
    "GET /reranker/models/{model_id}": _TRAIN,
    "GET /reranker/models/{model_id}/queries": _TRAIN,
    "POST /reranker/promote": _ADMIN,
    "POST /reranker/rollback": _ADMIN,
}
"""Every route. Any one of these scopes will do, or admin; none: admin alone."""

OF_ALL = frozenset({"POST /corpora", "GET /config", "PATCH /config", "GET /metrics"})
"""What tells of every corpus, or holds for all: never for a key that is bound to some. The other routes are given a
library that knows its bounds (see `facade`).
"""

FILTERED = frozenset(
    {
        "GET /health",
        "GET /docs",
        "POST /search",
        "POST /feedback",
        "GET /corpora",
        "GET /corpora/{corpus_id}",
        "GET /corpora/{corpus_id}/documents/{doc_id:path}",
    }
)
"""What heeds the filter that a key is pinned to, or shows no document. All else is refused to such a key."""

_bearer = HTTPBearer(auto_error=False, description="An API key. Not asked for on loopback while there is none.")


async def authorise(request: Request, _: Annotated[object, Security(_bearer)]) -> None:
    """A dependency of every route: pass if the caller's key has a scope for it.

    Raises:
        Forbidden: it has none, and says which would do; or it is bound to corpora, and the route is about all.
    """
    require_scopes(request, ROUTES, OF_ALL)


def require_scopes(request: Request, routes: Mapping[str, frozenset[Scope]], of_all: Collection[str]) -> None:
    """Pass if the caller's key has a scope for the request's route. Arguments: as `ROUTES` and `OF_ALL`.

    Raises:
        Forbidden: it has none, and says which would do; or it is bound to corpora, and the route is about all; or it
            is pinned to a filter, and the route is none of FILTERED.
    """
    method = "GET" if request.method == "HEAD" else request.method
    name = f"{method} {getattr(request.scope.get('route'), 'path', '')}"
    wanted = routes.get(name, _ADMIN)
    caller = caller_of(request)
    if not caller.may(*wanted):
        names = ", ".join(sorted(wanted | {Scope.ADMIN}))
        raise Forbidden(
            f"This key has the scopes {', '.join(sorted(caller.scopes))}; this route wants one of: {names}. "
            "Make such a key with `tribrid keys create`.",
            scopes=sorted(caller.scopes),
            wanted=sorted(wanted | {Scope.ADMIN}),
        )
    bounds = Bounds(caller.corpora, caller.pinned)
    if name in of_all:
        bounds.require_none("what holds for all corpora")
    if name not in FILTERED:
        bounds.require_all_documents(f"the route {name}")


def require_admin(request: Request, purpose: str) -> None:
    """For the part of a route that its scope is not enough for.

    Raises:
        Forbidden: the caller's key has not the scope admin.
    """
    if not caller_of(request).may():
        raise Forbidden(f"{purpose} wants a key with the scope admin.", wanted=[Scope.ADMIN])
