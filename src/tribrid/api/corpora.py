"""Corpora: make, list, see, delete."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute
from tribrid.api.openapi import answers
from tribrid.api.schemas import CorpusBody

router = APIRouter(tags=["corpora"], route_class=JsonRoute)

_CORPUS = {
    "corpus_id": "tribrid",
    "name": "Our handbook",
    "created_at": "2026-01-02T03:04:05+00:00",
    "documents": 120,
    "passages": 348,
    "version": 3,
}


@router.post(
    "/corpora", status_code=201, summary="Make a corpus", responses=answers("The corpus, still empty.", _CORPUS, 201)
)
def create(body: CorpusBody, tribrid: Facade) -> Json:
    """`corpus_id`: 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit. 409 if it is taken."""
    made = tribrid.create_corpus(body.corpus_id, body.name).describe()
    return Json(made, status_code=201, headers={"Location": f"/corpora/{body.corpus_id}"})


@router.get("/corpora", summary="List the corpora", responses=answers("All of them.", {"corpora": [_CORPUS]}))
def listed(tribrid: Facade) -> Json:
    """By id."""
    return Json({"corpora": [corpus.describe() for corpus in tribrid.corpora()]})


@router.get("/corpora/{corpus_id}", summary="One corpus and its size", responses=answers("The corpus.", _CORPUS))
def one(corpus_id: str, tribrid: Facade) -> Json:
    """`version` counts the changes of its documents."""
    return Json(tribrid.corpus(corpus_id).describe())


@router.delete("/corpora/{corpus_id}", status_code=204, summary="Delete a corpus and all that belongs to it")
def delete(corpus_id: str, tribrid: Facade) -> Response:
    """Its documents, index, logs, judgments, runs and models. There is no way back."""
    tribrid.corpus(corpus_id).delete()
    return Response(status_code=204)
