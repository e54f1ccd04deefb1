"""Documents of a corpus: put them in by the stream, see one, take them out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute, max_upload_bytes, upload
from tribrid.api.openapi import answers, takes
from tribrid.api.schemas import DeleteDocumentsBody
from tribrid.api.waiting import work_response
from tribrid.corpus.records import parse_records
from tribrid.errors import DocumentNotFound

router = APIRouter(tags=["corpora"], route_class=JsonRoute)

_RECORD = {"doc_id": "a", "title": "Leave", "text": "Everyone has 30 days.", "uri": "file:a.md", "metadata": {"v": 2}}
_BODY = takes(
    {
        "application/x-ndjson": '{"_id": "a", "text": "Everyone has 30 days."}\n',
        "application/json": [_RECORD],
    },
    "One JSON object a line, or an array of them; a BEIR `corpus.jsonl` as it is. Any content type but a form.",
)
_INDEXED = {
    "documents": 120,
    "passages": 348,
    "embedded": 348,
    "unchanged": 0,
    "deleted": 0,
    "skipped": [{"line": 7, "reason": "text is missing", "doc_id": "b"}],
    "skipped_total": 1,
    "duplicates": ["a"],
    "duplicates_total": 1,
    "took_s": 1.9,
    "rate_per_s": 63.1,
}


@router.post(
    "/corpora/{corpus_id}/documents",
    summary="Put documents in, or change them",
    openapi_extra=_BODY,
    responses=answers("What was indexed, and what was not and why.", _INDEXED),
)
async def put(corpus_id: str, request: Request, tribrid: Facade) -> Response:
    """Upserts by `doc_id` (or `_id`); what did not change is not embedded again. A record that cannot be taken is
    skipped and named with its line; the rest goes in. Of two records with one id the later holds, and the id stands in
    `duplicates`. What takes longer than a second is answered in a body that starts
    with white space.
    """
    settings = (await run_in_threadpool(_corpus_settings, tribrid, corpus_id))["indexing"]
    body = await upload(request, await run_in_threadpool(max_upload_bytes, tribrid), tribrid.environment.data_dir)
    limit = settings["max_document_chars"]["value"]

    def index() -> dict[str, Any]:
        with body:
            return tribrid.corpus(corpus_id).documents.add(parse_records(body, max_document_chars=limit))

    return await work_response(request, index)


def _corpus_settings(tribrid: Facade, corpus_id: str) -> dict[str, Any]:
    # Refuses a corpus that is not there before a byte of the body is read.
    settings: dict[str, Any] = tribrid.corpus(corpus_id).settings()["settings"]
    return settings


@router.get(
    "/corpora/{corpus_id}/documents/{doc_id:path}", summary="One document", responses=answers("The document.", _RECORD)
)
def one(corpus_id: str, doc_id: str, tribrid: Facade) -> Json:
    """As it was put in, whole."""
    return Json(tribrid.corpus(corpus_id).documents.get(doc_id))


@router.delete(
    "/corpora/{corpus_id}/documents/{doc_id:path}",
    summary="Delete one document",
    responses=answers("It is gone.", {"deleted": 1}),
)
def delete(corpus_id: str, doc_id: str, tribrid: Facade) -> Json:
    """404 if the corpus has none of this id. Ids may hold slashes."""
    gone = tribrid.corpus(corpus_id).documents.delete([doc_id])
    if not gone["deleted"]:
        raise DocumentNotFound(f"There is no document {doc_id!r} in corpus {corpus_id!r}.", doc_id=doc_id)
    return Json(gone)


@router.post(
    "/corpora/{corpus_id}/documents/delete",
    summary="Delete many documents",
    responses=answers("How many there were.", {"deleted": 2}),
)
def delete_many(corpus_id: str, body: DeleteDocumentsBody, tribrid: Facade) -> Json:
    """Ids that the corpus does not have are passed over."""
    return Json(tribrid.corpus(corpus_id).documents.delete(body.doc_ids))
