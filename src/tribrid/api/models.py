"""Model versions: list, promote, roll back."""

from __future__ import annotations

from fastapi import APIRouter

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.openapi import answers
from tribrid.api.schemas import OfCorpus, PromoteBody, RollbackBody

router = APIRouter(tags=["models"], route_class=JsonRoute)

_MODELS = {"models": [{"model_id": "5b1e", "run_id": "b7e0"}], "champion": "5b1e", "previous": None}


@router.get("/reranker/models", summary="The corpus's models", responses=answers("All, and which serves.", _MODELS))
def models(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Newest first, with the alias `champion` (serves now) and `previous` (served before it)."""
    return Json(tribrid.models(corpus_id))


@router.post("/reranker/promote", summary="Serve a model from now on")
def promote(body: PromoteBody, tribrid: Facade) -> Json:
    """Without a restart, from the next search on. The champion before it is kept for a rollback."""
    return Json(tribrid.promote(body.corpus_id, model_id=body.model_id, reason=body.reason))


@router.post("/reranker/rollback", summary="Serve the champion before this one again (twice: this one)")
def rollback(body: RollbackBody, tribrid: Facade) -> Json:
    """409 if there is none. Rolling back the first model ever promoted leaves the corpus without one."""
    return Json(tribrid.rollback(body.corpus_id, reason=body.reason))
