"""Search: what several systems make of a query, beside each other; why a document is here; and what one thinks of it.

To look is not logged: who tries systems out is no user. What is said of a result is logged, with the list that serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from tribrid.answers.models import ModelList
from tribrid.answers.search import ComparedRanking, Explanation
from tribrid.api.attending import admitted
from tribrid.api.forms import Posted
from tribrid.app.corpus import MAX_QUERY_CHARS, Corpus
from tribrid.app.side_by_side import CHAMPION
from tribrid.errors import Conflict, NotFound, Unavailable
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.report.quoting import quoted
from tribrid.studio.visit import Here, lead
from tribrid.types import Signal

router = APIRouter()
SHOWN, MOST_SYSTEMS = 10, 3
ROW_PX = 92
"""How high a result is where lines are drawn between two rankings; as in the style sheet."""
_QUOTE_CHARS = 220
Asked = Annotated[str, Query(max_length=MAX_QUERY_CHARS)]


class Line(NamedTuple):
    """From a document's place in one ranking to that in the next, px from the top. `kind`: up, down or same."""

    start: float
    end: float
    kind: str


@router.get("/studio/c/{corpus_id}/search", dependencies=[Depends(admitted)])
def search(
    visit: Here,
    corpus_id: str,
    q: Asked = "",
    system: Annotated[list[str] | None, Query(max_length=MOST_SYSTEMS)] = None,
    doc: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """The systems side by side; with `doc`, why that document is here."""
    corpus = visit.tribrid.corpus(corpus_id)
    corpus.require()
    systems = [name for name in system or [RETRIEVAL, CHAMPION] if name]
    return visit.page(
        "search.html",
        corpus=corpus_id,
        here="search",
        q=q,
        systems=systems,
        choices=_choices(corpus.models() if visit.may("train") else None),
        signals=[Signal.CLICK, Signal.THUMBS_UP, Signal.THUMBS_DOWN],
        **(_found(corpus, q, systems, doc) if q.strip() else _NOTHING),
    )


_NOTHING: Mapping[str, Any] = {"found": None, "chosen": None}


def _found(corpus: Corpus, q: str, systems: list[str], doc: str) -> Mapping[str, Any]:
    """What the page shows of an answer."""
    found = corpus.compare(q, systems, SHOWN)
    chosen = found.documents.get(doc)
    return {
        "found": found,
        "names": {ranking.system: _named(ranking) for ranking in found.rankings},
        "lines": [_lines(a, b) for a, b in pairwise(found.rankings)],
        "height": ROW_PX * SHOWN,
        "quotes": {key: quoted(row.text, q, _QUOTE_CHARS) for key, row in found.documents.items()},
        "chosen": chosen,
        "served": _served(found.rankings),
        "explained": _explained(corpus, q, doc) if chosen else None,
    }


@router.post("/studio/c/{corpus_id}/search/feedback", dependencies=[Depends(admitted)])
def tell(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Log the search as it serves, with what was said of one of its results."""
    visit.require("search")
    query, doc_id = form.whole("q"), form.whole("doc")
    served = visit.tribrid.corpus(corpus_id).search(query, SHOWN, client_id=f"studio-{visit.caller.name}")
    visit.tribrid.feedback(served.query_id, form.text("signal"), doc_id=doc_id)
    return lead("c", corpus_id, "search", q=query, system=form.texts("system"), doc=doc_id, done="told", fragment="why")


def _choices(models: ModelList | None) -> list[tuple[str, str]]:
    """The systems that can be chosen, with what they are called."""
    trained = models.models if models else ()
    named = [(model.model_id, f"model {model.model_id[:8]}, {model.created_at:%Y-%m-%d %H:%M}") for model in trained]
    return [(RETRIEVAL, "First stage"), (CHAMPION, "What serves now"), *named]


def _named(ranking: ComparedRanking) -> str:
    if ranking.system == RETRIEVAL:
        return "First stage"
    return "What serves now" if ranking.system == CHAMPION else f"Model {ranking.system[:8]}"


def _lines(left: ComparedRanking, right: ComparedRanking) -> list[Line]:
    """A line for each document that both show."""
    places = ((row.rank, right.rank_of(row.doc_id)) for row in left.ranks)
    return [
        Line(ROW_PX * (a - 0.5), ROW_PX * (b - 0.5), "up" if b < a else "down" if b > a else "same")
        for a, b in places
        if b is not None
    ]


def _served(rankings: tuple[ComparedRanking, ...]) -> set[str]:
    """The documents of the list that users are shown: feedback can be taken on no other."""
    return {row.doc_id for ranking in rankings if ranking.system == CHAMPION for row in ranking.ranks}


def _explained(corpus: Corpus, query: str, doc_id: str) -> Explanation | str:
    """What moved it, or why nobody can say."""
    try:
        return corpus.explain(query, doc_id)
    except (Conflict, NotFound, Unavailable) as error:
        return error.detail
