"""Who judged: what each of two judges said of the same documents, and every rating to take along."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tribrid.studio.spreadsheet import spreadsheet
from tribrid.studio.visit import Here, link

router = APIRouter()
ROWS = 30
Judge = Annotated[str, Query(max_length=512)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
_COLUMNS = ("query_id", "query", "doc_id", "judge", "by", "grade", "note", "at")


@router.get("/studio/c/{corpus_id}/judge/agreement")
def agreement(visit: Here, corpus_id: str, a: Judge, b: Judge, offset: Offset = 0) -> Response:
    """How far two judges agree, and where they do not."""
    judgments = visit.tribrid.corpus(corpus_id).judgments
    found = judgments.agreement(a, b)
    return visit.page(
        "agreement.html",
        corpus=corpus_id,
        here="judge",
        found=found,
        kinds={judge.judge: judge.by for judge in judgments.ratings().judges},
        shown=found.disagreements[offset : offset + ROWS],
        offset=offset,
        rows=ROWS,
        to=lambda at: link("c", corpus_id, "judge", "agreement", a=a, b=b, offset=at),
    )


@router.get("/studio/c/{corpus_id}/judge/ratings.csv")
def ratings(visit: Here, corpus_id: str) -> Response:
    """Every rating with its note."""
    found = visit.tribrid.corpus(corpus_id).judgments.ratings().ratings
    rows = ([str(rating.model_dump(mode="json")[name]) for name in _COLUMNS] for rating in found)
    return spreadsheet(f"{corpus_id}-ratings", _COLUMNS, rows)
