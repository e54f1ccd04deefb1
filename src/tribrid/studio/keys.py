"""API keys: make one, which is shown once, and revoke one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.api.forms import Posted
from tribrid.errors import InvalidInput
from tribrid.studio.visit import Here, lead
from tribrid.types import Scope

router = APIRouter()
MEANING = {
    Scope.SEARCH: "search and rerank, and see corpora and documents",
    Scope.FEEDBACK: "tell what users did",
    Scope.TRAIN: "put in documents, judgments and logs; mine, train, evaluate, review",
    Scope.METRICS: "read the metrics",
    Scope.ADMIN: "everything",
}


@router.get("/studio/keys")
def keys(visit: Here) -> Response:
    """Every key there ever was, and a form for another."""
    return visit.page(
        "keys.html",
        here="keys",
        keys=visit.tribrid.keys.list(),
        first=visit.tribrid.keys.first,
        scopes=[(scope.value, about) for scope, about in MEANING.items()],
        corpora=[found.corpus_id for found in visit.tribrid.corpora()],
    )


@router.post("/studio/keys")
def create(visit: Here, form: Posted) -> Response:
    """A new key, on a page that is not kept: nobody can be told it again."""
    keys, scopes = visit.tribrid.keys, form.texts("scope")
    if keys.first and Scope.ADMIN not in scopes:
        raise InvalidInput("The first key needs the scope admin: with any other nobody could come in here any more.")
    made = keys.create(form.text("name"), scopes, form.texts("corpus") or None)
    return visit.page("key.html", here="keys", made=made)


@router.post("/studio/keys/{key_id}/revoke")
def revoke(visit: Here, key_id: str) -> Response:
    """End a key."""
    visit.tribrid.keys.revoke(key_id)
    return lead("keys", done="revoked")
