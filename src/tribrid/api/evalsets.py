"""Eval datasets: set one, take it elsewhere in the field's formats, list its versions, hear what is wrong with it."""

from __future__ import annotations

import io
import zipfile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from tribrid.answers.evalsets import EvalDatasetContent, EvalDatasetFile, EvalDatasetVersions, StoredEvalDataset
from tribrid.answers.nextlabels import NextLabels
from tribrid.answers.readiness import EvalDatasetCheck
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.judgments import FORM, RawBody, json_body
from tribrid.api.openapi import takes
from tribrid.api.schemas import Body
from tribrid.corpus.evalfiles import Files, parse_jsonl, parse_labels, parse_quepid
from tribrid.errors import InvalidInput
from tribrid.logs.times import span

router = APIRouter(tags=["labels"])

_JSONL = '{"query_id": "1", "text": "annual leave", "judgments": {"a": 1, "b": 0}}\n'
_CSV = "query,docid,rating\nannual leave,a,1\n"
_NDJSON_TYPES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
_TYPES = {".json": "application/json", ".jsonl": "application/x-ndjson", ".csv": "text/csv; charset=utf-8"}
_ZIPPED = ("trec", "beir")
_TEXT = {"schema": {"type": "string"}}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Its hash, version and queries; or its files, in another format.",
        "content": {
            "application/x-ndjson": _TEXT,
            "text/csv": _TEXT,
            "text/plain": _TEXT,
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
# The oldest that a zip can hold: the same dataset is the same bytes, whenever it is asked for.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)

Format = Annotated[
    Literal["json", "jsonl", "trec", "topics", "qrels", "run", "beir", "quepid"] | None,
    Query(
        description="json: everything, can be put back. jsonl. trec: topics, qrels and the frozen candidates as a run, "
        "zipped; topics, qrels, run: one of them. beir: without the corpus, zipped. quepid: CSV of ratings.",
    ),
]
Version = Annotated[
    str | None, Query(max_length=64, description="A version's number, or the start of its hash; default: in force.")
]


@router.put(
    "/corpora/{corpus_id}/eval_dataset",
    summary="Set the eval dataset",
    openapi_extra=takes(
        {"application/json": FORM, "application/x-ndjson": _JSONL, "text/csv": _CSV},
        "Judged queries as JSON, as NDJSON one a line, or as Quepid's CSV of ratings; or as JSON "
        '`{"queries": {query_id: text}, "qrels": "..."}` (or `"topics"`, as TREC writes them), with qrels in TREC\'s '
        "four columns or BEIR's three. What `?format=json` answered can be put back, with its candidates. A grade of 1 "
        "or more is relevant.",
    ),
    response_model=StoredEvalDataset,
    response_description="Its hash and version.",
)
def put_eval_dataset(corpus_id: str, request: Request, raw: RawBody, tribrid: Facade) -> Json:
    """Named by the hash of its content and never edited in place: other content is the next version. Its primary
    measure is fixed with it: `evaluation.primary_measure`, or what its labels recommend.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _NDJSON_TYPES:
        return Json(tribrid.corpus(corpus_id).eval_dataset.put(parse_jsonl([raw])))
    if kind == "text/csv":
        return Json(tribrid.corpus(corpus_id).eval_dataset.put(parse_quepid(_text(raw))))
    body = json_body(raw)
    bundle = body if isinstance(body, dict) else {}
    return Json(tribrid.corpus(corpus_id).eval_dataset.put(parse_labels(body), bundle))


@router.get(
    "/corpora/{corpus_id}/eval_dataset",
    summary="The eval dataset",
    response_model=EvalDatasetContent | EvalDatasetFile,
    responses=_FILES,
)
def eval_dataset(corpus_id: str, tribrid: Facade, format: Format = None, version: Version = None) -> Response:
    """The version in force, or another. 409 if there is none."""
    if format is None:
        return Json(tribrid.corpus(corpus_id).eval_dataset.get(version))
    files = tribrid.corpus(corpus_id).eval_dataset.export(format, version)
    if format in _ZIPPED:
        name = f"{corpus_id}-{format}.zip"
        return Response(_zipped(files), media_type="application/zip", headers=_attached(name))
    ((name, text),) = files.items()
    kind = next((kind for suffix, kind in _TYPES.items() if name.endswith(suffix)), "text/plain; charset=utf-8")
    return Response(text.encode("utf-8", "replace"), media_type=kind, headers=_attached(f"{corpus_id}-{name}"))


@router.get(
    "/corpora/{corpus_id}/eval_datasets",
    summary="Every version of the eval dataset, newest first",
    response_model=EvalDatasetVersions,
    response_description="All of them.",
)
def eval_datasets(corpus_id: str, tribrid: Facade) -> Json:
    """Each with its hash, its primary measure, and the candidates and state of the corpus it was measured on last."""
    return Json(EvalDatasetVersions(eval_datasets=tuple(tribrid.corpus(corpus_id).eval_dataset.versions())))


@router.get(
    "/corpora/{corpus_id}/eval_dataset/check",
    summary="What is wrong with the eval dataset",
    response_model=EvalDatasetCheck,
    response_description="Problems in words, and how small a change it can show.",
)
def check_eval_dataset(
    corpus_id: str,
    tribrid: Facade,
    effect: Annotated[
        float | None,
        Query(gt=0, lt=1, description="Change in the primary measure that you hope to see; default 0.03."),
    ] = None,
    version: Version = None,
) -> Json:
    """Near-duplicates among its queries, documents that the corpus lacks, overlap with training, too few queries."""
    return Json(tribrid.corpus(corpus_id).eval_dataset.check(effect, version))


class FromLogs(Body):
    """Which part of the log."""

    last: str = Field(
        max_length=20, description="Counted back from the newest search: 36h, 14d or 2w.", examples=["14d"]
    )
    replace: bool = Field(default=False, description="Though people judged the dataset in force.")


@router.post(
    "/corpora/{corpus_id}/eval_dataset/from_logs",
    summary="Make an eval dataset from the log",
    response_model=StoredEvalDataset,
    response_description="Its hash and version.",
)
def eval_dataset_from_logs(corpus_id: str, body: FromLogs, tribrid: Facade) -> Json:
    """The last part of the log becomes what before and after are measured on: queries for which clients enough found
    something, and how likely each document is good. Nothing of it is mined from then on. 409 `not_enough_evidence` says
    how much more is needed.
    """
    return Json(tribrid.corpus(corpus_id).eval_dataset.from_logs(span(body.last), replace=body.replace))


@router.get(
    "/corpora/{corpus_id}/eval_dataset/next",
    summary="Which labels are worth most",
    response_model=NextLabels,
    response_description="Queries to judge, each with its documents.",
)
def next_to_judge(
    corpus_id: str,
    tribrid: Facade,
    queries: Annotated[int, Query(ge=1, le=50, description="At most so many.")] = 5,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1, description="Of the order of the documents.")] = 13,
) -> Json:
    """The queries that many clients ask and on which rankings differ, each with the first documents of every ranking
    that nobody has judged, blind and shuffled; and what judging them would bring.
    """
    return Json(tribrid.corpus(corpus_id).eval_dataset.next(queries, seed))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The body is not valid UTF-8 (byte {error.start + 1}).", field="body") from None


def _attached(name: str) -> dict[str, str]:
    """A corpus's id is a file name everywhere (`store.corpora.check_id`)."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _zipped(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            archive.writestr(entry, text.encode("utf-8", "replace"), compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()
