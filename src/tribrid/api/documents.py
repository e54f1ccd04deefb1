"""Documents of a corpus: put them in by the stream, see one, take them out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from tribrid.answers.documents import DeletedDocuments, DocumentAnswer, IndexedDocuments
from tribrid.answers.jobs import Interruption
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute, max_upload_bytes, upload
from tribrid.api.openapi import takes
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


@router.post(
    "/corpora/{corpus_id}/documents",
    summary="Put documents in, or change them",
    openapi_extra=_BODY,
    response_model=IndexedDocuments | Interruption,
    response_description="What was indexed, and what was not and why; or, after more than a second, why it failed.",
)
async def put(corpus_id: str, request: Request, tribrid: Facade) -> Response:
    """Upserts by `doc_id` (or `_id`); what did not change is not embedded again. A record that cannot be taken is
    skipped and named with its line; the rest goes in. Of two records with one id the later holds, and the id stands in
    `duplicates`.

    What takes longer than a second is answered with status 200 and a body that starts with white space, and the status
    cannot change after that: if it fails then, the body is an object with `"status": "failed"` (or `"interrupted"`, if
    the server stops) and the `problem`, and nothing else. What went in has no `status`. Look at it, not at the 200.
    Documents that were stored before it failed stay, and are indexed by themselves; send it again for the rest.
    """
    documents = tribrid.corpus(corpus_id).documents
    config = await run_in_threadpool(documents.indexing)  # refuses a corpus that is not there before the body is read
    body = await upload(request, await run_in_threadpool(max_upload_bytes, tribrid), tribrid.environment.data_dir)

    def index() -> IndexedDocuments:
        with body:
            return documents.add(parse_records(body, max_document_chars=config.max_document_chars))

    return await work_response(request, index)


@router.post(
    "/corpora/{corpus_id}/index",
    summary="Make the index anew",
    response_model=IndexedDocuments | Interruption,
    response_description="What was indexed.",
)
async def rebuild(corpus_id: str, request: Request, tribrid: Facade) -> Response:
    """From the stored documents, all of which are embedded: for an index that GET /ready says is damaged. The one that
    there is serves until then, if it can. Answered as an upload is.
    """
    documents = tribrid.corpus(corpus_id).documents
    await run_in_threadpool(documents.require)
    return await work_response(request, documents.rebuild)


@router.get(
    "/corpora/{corpus_id}/documents/{doc_id:path}",
    summary="One document",
    response_model=DocumentAnswer,
    response_description="The document.",
)
def one(corpus_id: str, doc_id: str, tribrid: Facade) -> Json:
    """As it was put in, whole."""
    return Json(tribrid.corpus(corpus_id).documents.get(doc_id))


@router.delete(
    "/corpora/{corpus_id}/documents/{doc_id:path}",
    summary="Delete one document",
    response_model=DeletedDocuments,
    response_description="It is gone.",
)
def delete(corpus_id: str, doc_id: str, tribrid: Facade) -> Json:
    """404 if the corpus has none of this id. Ids may hold slashes. Texts that a rerank brought under it go too."""
    gone = tribrid.corpus(corpus_id).documents.delete([doc_id])
    if not gone.deleted:
        raise DocumentNotFound(f"There is no document {doc_id!r} in corpus {corpus_id!r}.", doc_id=doc_id)
    return Json(gone)


@router.post(
    "/corpora/{corpus_id}/documents/delete",
    summary="Delete many documents",
    response_model=DeletedDocuments,
    response_description="How many there were.",
)
def delete_many(corpus_id: str, body: DeleteDocumentsBody, tribrid: Facade) -> Json:
    """Ids that the corpus does not have are passed over."""
    return Json(tribrid.corpus(corpus_id).documents.delete(body.doc_ids))
