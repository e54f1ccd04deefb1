"""The documents of a corpus: what is there, what comes, what goes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tribrid.api.forms import Posted
from tribrid.errors import InvalidInput
from tribrid.studio.visit import Here, lead, link

router = APIRouter()
ROWS = 50
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Text = Annotated[str, Query(max_length=2000)]


@router.get("/studio/c/{corpus_id}/documents")
def documents(visit: Here, corpus_id: str, q: Text = "", offset: Offset = 0) -> Response:
    """A page of the documents, and forms to add some."""
    found = visit.tribrid.corpus(corpus_id).documents.page(contains=q, offset=offset, limit=ROWS)
    return visit.page(
        "documents.html",
        corpus=corpus_id,
        here="documents",
        q=q,
        found=found,
        rows=ROWS,
        to=lambda at: link("c", corpus_id, "documents", q=q, offset=at),
        limit_mb=visit.tribrid.settings().settings["serving"]["max_upload_mb"].value,
    )


@router.post("/studio/c/{corpus_id}/documents")
def upload(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Take in files, and say what became of each."""
    if not form.files:
        raise InvalidInput("Choose at least one file.")
    documents = visit.tribrid.corpus(corpus_id).documents
    done = documents.add_uploaded((file.name, file.content) for file in form.files)
    return visit.page("uploaded.html", corpus=corpus_id, here="documents", done=done, files=len(form.files))


@router.post("/studio/c/{corpus_id}/documents/delete")
def delete(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Delete those that were ticked."""
    if not form.texts("doc"):
        raise InvalidInput("Tick the documents to delete.")
    visit.tribrid.corpus(corpus_id).documents.delete(form.texts("doc"))
    return lead("c", corpus_id, "documents", q=form.text("q"), done="deleted")


@router.get("/studio/c/{corpus_id}/documents/one")
def one(visit: Here, corpus_id: str, id: Text) -> Response:
    """One document, whole. Its id is a parameter, because ids may hold anything."""
    found = visit.tribrid.corpus(corpus_id).documents.get(id)
    return visit.page("document.html", corpus=corpus_id, here="documents", document=found)
