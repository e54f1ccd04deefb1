"""Model versions: list, show with all they were made from, promote, roll back."""

from __future__ import annotations

from fastapi import APIRouter

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.openapi import answers
from tribrid.api.schemas import Limit, OfCorpus, Offset, PromoteBody, RollbackBody

router = APIRouter(tags=["models"], route_class=JsonRoute)

_NAMES = {"champion": "5b1e", "challenger": "77c2", "previous": None, "can_roll_back": True}
_PROMOTION = {"model_id": "5b1e", "instead_of": None, "kind": "gate", "forced": False, "reason": "ndcg@10 rises ..."}
_MODELS = {**_NAMES, "models": [{"model_id": "5b1e", "run_id": "b7e0"}], "promotions": [_PROMOTION]}
_LINEAGE = {
    "code": {"version": "0.1.0", "sha256": "9f3c"},
    "corpus": {"corpus_id": "tribrid", "version": 3},
    "kept_out_eval_dataset": "17aa",
    "triplet_set": {"triplet_set_id": "c0de", "by_source": {"logs": {"queries": 120, "triplets": 2400}}},
    "impressions": 812,
    "queries_url": "/reranker/models/5b1e/queries",
}
_MODEL = {
    "model_id": "5b1e",
    "run_id": "b7e0",
    "aliases": ["champion"],
    "lineage": _LINEAGE,
    "evaluations": [{"evaluation_id": "e1", "decision": "promote"}],
    "promotions": [_PROMOTION],
    "erasures": [],
}
_QUERY = {
    "query_id": "0f3a",
    "query": "annual leave",
    "source": "logs",
    "triplets": 12,
    "evidence": ["0f3a"],
    "impressions": [{"query_id": "0f3a", "at": "2026-01-02T03:04:05+00:00", "client_id": None, "feedback": 1}],
    "impressions_total": 1,
}


@router.get("/reranker/models", summary="The corpus's models", responses=answers("All, and which serves.", _MODELS))
def models(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Newest first, with the aliases `champion` (serves now), `challenger` (the newest that was trained and never
    served) and `previous` (what a rollback brings back; null for no trained model).
    """
    return Json(tribrid.corpus(corpus_id).models())


@router.get(
    "/reranker/models/{model_id}",
    summary="One model: what it was made from, and what became of it",
    responses=answers("The model version's record.", _MODEL),
)
def model(model_id: str, tribrid: Facade) -> Json:
    """Its lineage (code, corpus, triplets, impressions), settings, metrics, evaluations, promotions, and what was
    erased since of what it learned from.
    """
    return Json(tribrid.models.get(model_id))


@router.get(
    "/reranker/models/{model_id}/queries",
    summary="The queries that a model was trained on",
    responses=answers(
        "A page of them, each with the searches, judgments or documents behind it.", {"queries": [_QUERY]}
    ),
)
def training_queries(model_id: str, tribrid: Facade, offset: Offset = 0, limit: Limit = 50) -> Json:
    """`evidence` names what its labels rest on; `impressions` are the searches that mining read, by their `query_id`.
    What was erased since is missing.
    """
    return Json(tribrid.models.training_queries(model_id, offset=offset, limit=limit))


@router.post(
    "/reranker/promote",
    summary="Serve a model from now on",
    responses=answers("Who has which name now.", _NAMES),
)
def promote(body: PromoteBody, tribrid: Facade) -> Json:
    """Without a restart, from the next search on. 409 `not_proven` for a model that lost, or was never compared with
    what serves now on the eval dataset in force: evaluate it, or say `force` and give a `reason`, which is kept.
    """
    return Json(tribrid.corpus(body.corpus_id).promote(model_id=body.model_id, reason=body.reason, force=body.force))


@router.post(
    "/reranker/rollback",
    summary="Serve again what served before the last promotion",
    responses=answers("Who has which name now.", _NAMES),
)
def rollback(body: RollbackBody, tribrid: Facade) -> Json:
    """Each call goes one promotion further back, to no trained model in the end; then 409. To undo one, promote."""
    return Json(tribrid.corpus(body.corpus_id).rollback(reason=body.reason))
