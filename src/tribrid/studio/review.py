"""Review: triplets whose negative may be relevant too, one at a time, with both texts and the reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tribrid.answers.triplets import TripletPage
from tribrid.api.forms import Posted
from tribrid.app.corpus import Corpus
from tribrid.errors import NoTriplets
from tribrid.report.quoting import quoted
from tribrid.studio.visit import Here, Visit, lead, link
from tribrid.types import Mark, Source, TripletStatus

router = APIRouter()
ROWS = 10
_QUOTE_CHARS = 500
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


@router.get("/studio/c/{corpus_id}/review")
def review(
    visit: Here,
    corpus_id: str,
    status: Annotated[str, Query(max_length=20)] = TripletStatus.REVIEW.value,
    source: Annotated[str, Query(max_length=20)] = "",
    offset: Offset = 0,
) -> Response:
    """The triplets that wait, or others of the newest mining."""
    return _page(visit, visit.tribrid.corpus(corpus_id), status, source, offset)


@router.post("/studio/c/{corpus_id}/review")
def decide(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Keep a decision. What was decided leaves the list, so the next one is at the same place."""
    visit.tribrid.review(form.text("triplet_id"), form.text("decision"))
    status, source = form.text("status"), form.text("source")
    offset = int(form.text("offset")) if form.text("offset").isdecimal() else 0
    if visit.swapped:
        return _page(visit, visit.tribrid.corpus(corpus_id), status, source, offset)
    return lead("c", corpus_id, "review", status=status, source=source, offset=offset or None, done="decided")


def _page(visit: Visit, corpus: Corpus, status: str, source: str, offset: int) -> Response:
    found = _triplets(corpus, status, source, offset)
    rows = found.triplets if found else ()
    return visit.page(
        "review-part.html" if visit.swapped else "review.html",
        corpus=corpus.corpus_id,
        here="review",
        found=found,
        rows=ROWS,
        status=status,
        source=source,
        statuses=[one.value for one in TripletStatus],
        sources=[one.value for one in Source],
        offset=offset,
        quotes={
            row.triplet_id: [_quote(side.text, row.query) for side in (row.positive, row.negative)] for row in rows
        },
        marks=[mark.value for mark in Mark],
        to=lambda at: link("c", corpus.corpus_id, "review", status=status, source=source, offset=at),
    )


def _triplets(corpus: Corpus, status: str, source: str, offset: int) -> TripletPage | None:
    """None where nothing was mined."""
    try:
        return corpus.triplets(status=status or None, source=source or None, offset=offset, limit=ROWS)
    except NoTriplets:
        corpus.require()
        return None


def _quote(text: str | None, query: str) -> object:
    return None if text is None else quoted(text, query, _QUOTE_CHARS)
