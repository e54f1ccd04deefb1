"""Erasure: what goes, and who had used it."""

from __future__ import annotations

from fastapi import APIRouter

from tribrid.answers.erasures import ErasureDone, ErasureList
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.schemas import EraseBody

router = APIRouter(tags=["corpora"], route_class=JsonRoute)

_DONE = "What went, and the datasets and models that had used it."


@router.delete(
    "/corpora/{corpus_id}/logs/queries/{query_id:path}",
    summary="Erase one search from the log",
    response_model=ErasureDone,
    response_description=_DONE,
)
def erase_list(corpus_id: str, query_id: str, tribrid: Facade) -> Json:
    """Its list, what was done with it, and the triplets mined from logs for the same query: no later run can use them.
    404 if there is none.
    """
    return Json(tribrid.corpus(corpus_id).erase(query_id=query_id))


@router.delete(
    "/corpora/{corpus_id}/logs/clients/{client_id:path}",
    summary="Erase a user's searches",
    response_model=ErasureDone,
    response_description=_DONE,
)
def erase_client(corpus_id: str, client_id: str, tribrid: Facade) -> Json:
    """Every search of this `client_id`, as if each were erased by its query_id. 404 if there is none."""
    return Json(tribrid.corpus(corpus_id).erase(client_id=client_id))


@router.post(
    "/corpora/{corpus_id}/erase",
    summary="Erase a query, a user's events or a document",
    response_model=ErasureDone,
    response_description=_DONE,
)
def erase(corpus_id: str, body: EraseBody, tribrid: Facade) -> Json:
    """`query` erases a text from logs, judgments, triplets, reviews, eval datasets and reports, whoever asked it.
    `doc_id` erases a document and whatever names it. What is to go stands in the body, so that no server's log keeps
    it. 404 if there is nothing of it.
    """
    wanted = body.model_dump()
    return Json(tribrid.corpus(corpus_id).erase(**wanted))


@router.get(
    "/corpora/{corpus_id}/erasures",
    summary="What was erased, and when",
    response_model=ErasureList,
    response_description="Counts and who had used it, never what it was.",
)
def erasures(corpus_id: str, tribrid: Facade) -> Json:
    """Newest first."""
    return Json(ErasureList(erasures=tuple(tribrid.corpus(corpus_id).erasures())))
