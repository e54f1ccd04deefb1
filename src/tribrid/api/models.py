"""Model versions: list, show with all they were made from, promote, roll back."""

from __future__ import annotations

from fastapi import APIRouter

from tribrid.answers.models import ModelList, ModelNames, ModelRecord, TrainingQueries
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.schemas import Limit, OfCorpus, Offset, PromoteBody, RollbackBody

router = APIRouter(tags=["models"], route_class=JsonRoute)


@router.get(
    "/reranker/models",
    summary="The corpus's models",
    response_model=ModelList,
    response_description="All, and which serves.",
)
def models(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Newest first, with the aliases `champion` (serves now), `challenger` (the newest that was trained and never
    served) and `previous` (what a rollback brings back; null for no trained model).
    """
    return Json(tribrid.corpus(corpus_id).models())


@router.get(
    "/reranker/models/{model_id}",
    summary="One model: what it was made from, and what became of it",
    response_model=ModelRecord,
    response_description="The model version's record.",
)
def model(model_id: str, tribrid: Facade) -> Json:
    """Its lineage (code, corpus, triplets, impressions), settings, metrics, evaluations, promotions, and what was
    erased since of what it learned from.
    """
    return Json(tribrid.models.get(model_id))


@router.get(
    "/reranker/models/{model_id}/queries",
    summary="The queries that a model was trained on",
    response_model=TrainingQueries,
    response_description="A page of them, each with the searches, judgments or documents behind it.",
)
def training_queries(model_id: str, tribrid: Facade, offset: Offset = 0, limit: Limit = 50) -> Json:
    """`evidence` names what its labels rest on; `impressions` are the searches that mining read, by their `query_id`.
    What was erased since is missing.
    """
    return Json(tribrid.models.training_queries(model_id, offset=offset, limit=limit))


@router.post(
    "/reranker/promote",
    summary="Serve a model from now on",
    response_model=ModelNames,
    response_description="Who has which name now.",
)
def promote(body: PromoteBody, tribrid: Facade) -> Json:
    """Without a restart, from the next search on. 409 `not_proven` for a model that lost, or was never compared with
    what serves now on the eval dataset in force: evaluate it, or say `force` and give a `reason`, which is kept.
    """
    return Json(tribrid.corpus(body.corpus_id).promote(model_id=body.model_id, reason=body.reason, force=body.force))


@router.post(
    "/reranker/rollback",
    summary="Serve again what served before the last promotion",
    response_model=ModelNames,
    response_description="Who has which name now.",
)
def rollback(body: RollbackBody, tribrid: Facade) -> Json:
    """Each call goes one promotion further back, to no trained model in the end; then 409. To undo one, promote."""
    return Json(tribrid.corpus(body.corpus_id).rollback(reason=body.reason))
