"""Corpora: make, list, see, delete."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.answers.corpora import CorpusFacts, CorpusList
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.schemas import CorpusBody

router = APIRouter(tags=["corpora"], route_class=JsonRoute)


@router.post(
    "/corpora",
    status_code=201,
    summary="Make a corpus",
    response_model=CorpusFacts,
    response_description="The corpus, still empty.",
)
def create(body: CorpusBody, tribrid: Facade) -> Json:
    """`corpus_id`: 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit. 409 if it is taken."""
    made = tribrid.create_corpus(body.corpus_id, body.name).describe()
    return Json(made, status_code=201, headers={"Location": f"/corpora/{body.corpus_id}"})


@router.get("/corpora", summary="List the corpora", response_model=CorpusList, response_description="All of them.")
def listed(tribrid: Facade) -> Json:
    """By id."""
    return Json(CorpusList(corpora=tuple(corpus.describe() for corpus in tribrid.corpora())))


@router.get(
    "/corpora/{corpus_id}",
    summary="One corpus and its size",
    response_model=CorpusFacts,
    response_description="The corpus.",
)
def one(corpus_id: str, tribrid: Facade) -> Json:
    """`version` counts the changes of its documents."""
    return Json(tribrid.corpus(corpus_id).describe())


@router.delete("/corpora/{corpus_id}", status_code=204, summary="Delete a corpus and all that belongs to it")
def delete(corpus_id: str, tribrid: Facade) -> Response:
    """Its documents, index, logs, judgments, runs and models. There is no way back."""
    tribrid.corpus(corpus_id).delete()
    return Response(status_code=204)
