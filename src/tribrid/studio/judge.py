"""Judge: a queue of queries, and of each the pooled documents of what serves and of the first stage, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from tribrid.answers.judgments import JudgedBy, Rating
from tribrid.api.attending import admitted
from tribrid.api.forms import Form, Posted
from tribrid.app.corpus import MAX_QUERY_CHARS, Corpus
from tribrid.errors import InvalidInput, NoEvalDataset
from tribrid.evaluation.readiness import SPREAD, detectable
from tribrid.report.quoting import quoted
from tribrid.studio.pool import Work, dataset, seen_by, waiting, work
from tribrid.studio.steps import LEAST_JUDGED
from tribrid.studio.visit import Here, Visit, lead, link
from tribrid.types import JudgedQuery

router = APIRouter()
DEPTH, SUGGESTED, ROWS = 10, 12, 30
GRADES = (
    (0, "Not relevant", "Does not help at all"),
    (1, "Related", "On the subject, answers little of it"),
    (2, "Relevant", "Answers it, with something else around"),
    (3, "Perfect", "Just what was asked for"),
)
_QUOTE_CHARS = 400
_FREQUENT = 200
NOBODY = "someone"
"""Who judges without a name: neither his key has one, nor does he give any."""


class Asked(BaseModel):
    """What an address asks the page for: the queue (with `telling` by what tells most; of what was judged, what `who`
    rated), or with `q` what there is to judge of that query: `doc`, or what comes `after` another. `name`: who judges.
    """

    q: str = Field(default="", max_length=MAX_QUERY_CHARS)
    doc: str = Field(default="", max_length=2000)
    after: str = Field(default="", max_length=2000)
    undo: str = Field(default="", max_length=2000)
    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    telling: bool = False
    who: str = Field(default="", max_length=512)
    name: str = Field(default="", max_length=200)


class _Labels(NamedTuple):
    """What judges said, and what of it is fixed to measure on. Labels from logs are no judge's, and not among these."""

    judged: list[JudgedQuery]
    measured: list[JudgedQuery]
    from_logs: bool = False


@router.get("/studio/c/{corpus_id}/judge", dependencies=[Depends(admitted)])
def judge(visit: Here, corpus_id: str, asked: Annotated[Asked, Query()]) -> Response:
    """The queue, or one query."""
    corpus = visit.tribrid.corpus(corpus_id)
    labels = _labels(corpus)
    return _judging(visit, corpus, labels, asked) if asked.q.strip() else _queue(visit, corpus, labels, asked)


def _queue(visit: Visit, corpus: Corpus, labels: _Labels, asked: Asked) -> Response:
    corpus_id, who, name, offset = corpus.corpus_id, asked.who, asked.name, asked.offset
    suggested = [] if asked.telling else _suggested(corpus, labels)
    counted = [query for query in labels.judged if query.has_positive]
    by = corpus.judgments.ratings()
    judges_of = _judges_of(by)
    shown = [query for query in labels.judged if not who or who in judges_of.get(query.query_id, ())]
    return visit.page(
        "judge.html",
        corpus=corpus_id,
        here="judge",
        suggested=suggested[:SUGGESTED],
        telling=corpus.eval_dataset.next(SUGGESTED) if asked.telling else None,
        judged=shown[offset : offset + ROWS],
        total=len(shown),
        every=len(labels.judged),
        judges=by.judges,
        judges_of=judges_of,
        who=who,
        judge=judge_of(visit, name),
        name=name,
        named=bool(visit.caller.label),
        offset=offset,
        rows=ROWS,
        to=lambda at: link("c", corpus_id, "judge", offset=at, who=who, name=name),
        relevant=len(counted),
        least=LEAST_JUDGED,
        sees=detectable(len(counted), SPREAD) if counted else None,
        measured=len(labels.measured),
        from_logs=labels.from_logs,
        new=len(dataset(labels.measured, labels.judged, "all")) - len(labels.measured),
    )


@router.post("/studio/c/{corpus_id}/judge", dependencies=[Depends(admitted)])
def grade(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Keep a grade, or take one back; on to the next document, or back to this one."""
    corpus = visit.tribrid.corpus(corpus_id)
    query, doc_id, given = form.whole("q"), form.whole("doc"), _grade(form)
    name = form.text("name")
    judge, note = judge_of(visit, name), form.text("note")
    corpus.judgments.grade(form.text("query_id"), query, doc_id, given, judge=judge, note=note)
    to = (
        Asked(q=query, name=name, doc=doc_id) if given is None else Asked(q=query, name=name, after=doc_id, undo=doc_id)
    )
    where = to.model_dump(exclude_unset=True)
    if not visit.swapped:
        return lead("c", corpus_id, "judge", **where)
    made = _judging(visit, corpus, _labels(corpus), to)
    made.headers["HX-Push-Url"] = link("c", corpus_id, "judge", **where)
    return made


@router.post("/studio/c/{corpus_id}/judge/fix")
def fix(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Make the judged queries the eval dataset, together with those that it has."""
    corpus = visit.tribrid.corpus(corpus_id)
    labels = _labels(corpus)
    queries = dataset(labels.measured, labels.judged, "half" if form.text("share") == "half" else "all")
    if not queries:
        raise InvalidInput("No query that people judged has a relevant document yet: there is nothing to measure on.")
    corpus.eval_dataset.put(queries)
    return lead("c", corpus_id, done="fixed")


def judge_of(visit: Visit, name: str) -> str:
    """Who judges: as whom his key is known, or else as he says."""
    return visit.caller.label or name.strip() or NOBODY


def _judges_of(found: JudgedBy) -> dict[str, dict[str, str]]:
    """query_id → its judges, each a person or a model."""
    judges: dict[str, dict[str, str]] = {}
    for rating in found.ratings:
        judges.setdefault(rating.query_id, {})[rating.judge] = rating.by
    return judges


def _judging(visit: Visit, corpus: Corpus, labels: _Labels, asked: Asked) -> Response:
    """The page of one query; for a script, the part of it that changes."""
    q = asked.q
    found = corpus.compare(q, top_k=DEPTH)
    judge, this = judge_of(visit, asked.name), work(q, found, labels.judged, labels.measured)
    ratings = corpus.judgments.ratings(this.query_id).ratings
    this = seen_by(judge, this, ratings)
    chosen = asked.doc or this.after(asked.after)
    document = None if chosen is None else corpus.documents.get(chosen)
    mine, others = _said(ratings, chosen, judge)
    return visit.page(
        "judging.html" if visit.swapped else "judge-query.html",
        corpus=corpus.corpus_id,
        here="judge",
        q=q,
        work=this,
        titles={doc_id: row.title or doc_id for doc_id, row in found.documents.items()},
        document=document,
        mine=mine,
        others=others,
        judge=judge,
        name=asked.name,
        snippet=quoted(document.text, q, _QUOTE_CHARS) if document else None,
        grades=GRADES,
        undo=asked.undo if asked.undo in this.grades else "",
        skip=_skipped(this, chosen),
        following=next((text for text in _suggested(corpus, labels) if text != q), None),
    )


def _said(ratings: Sequence[Rating], doc_id: str | None, judge: str) -> tuple[Rating | None, list[Rating]]:
    """What this judge said of a document, and what others did."""
    said = {rating.judge: rating for rating in ratings if rating.doc_id == doc_id}
    return said.pop(judge, None), list(said.values())


def _skipped(this: Work, chosen: str | None) -> str | None:
    """What comes if the document is left for now; None where nothing else is left."""
    return None if chosen is None else this.after(chosen)


def _labels(corpus: Corpus) -> _Labels:
    judged = list(corpus.judgments.get().queries)
    try:
        dataset = corpus.eval_dataset.get()
    except NoEvalDataset:
        return _Labels(judged, [])
    if dataset.source != "judgments":
        return _Labels(judged, [], from_logs=True)
    return _Labels(judged, list(dataset.queries))


def _suggested(corpus: Corpus, labels: _Labels) -> list[str]:
    """What to judge next: queries of the eval dataset that nobody graded here, then what most users ask."""
    asked = [row.query for row in corpus.logs.frequent(_FREQUENT)]
    return waiting([*(query.text for query in labels.measured if not query.judgments), *asked], labels.judged)


def _grade(form: Form) -> int | None:
    text = form.text("grade")
    if text == "none":
        return None
    if not text.isdecimal() or len(text) > 1:
        raise InvalidInput("grade: 0, 1, 2 or 3.")
    return int(text)
