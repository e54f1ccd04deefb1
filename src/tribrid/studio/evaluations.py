"""Evaluations: what each decided and why, by how much, and on which queries; and any two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, Response

from tribrid.answers.changes import Delta
from tribrid.answers.report import EvaluationReport
from tribrid.api.reranker import PAGE_HEADERS
from tribrid.app.corpus import Corpus
from tribrid.errors import EvaluationNotFound
from tribrid.evaluation.alerts import served
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.report.page import Systems, systems
from tribrid.report.parts import corpora, learning, loss, slices
from tribrid.report.plots import Axis, Curve, Point, Series, axis_around, curve
from tribrid.studio.spreadsheet import spreadsheet
from tribrid.studio.visit import Here, Visit, link

router = APIRouter()
ROWS, LISTED, AT_ONCE = 25, 30, 1000
SORTS = (
    ("delta_primary", "what lost most first"),
    ("-delta_primary", "what gained most first"),
    ("", "in the order of the dataset"),
)
Id = Annotated[str, Query(max_length=64)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]


class Forest(NamedTuple):
    """The change in each measure with its interval, on one axis; the measure that decides first."""

    rows: list[tuple[str, Delta]]
    axis: Axis


@router.get("/studio/c/{corpus_id}/evaluations")
def evaluations(visit: Here, corpus_id: str) -> Response:
    """Every evaluation, the newest with its change."""
    rows = visit.tribrid.corpus(corpus_id).evaluations(LISTED + 1)
    shown = [(row, visit.tribrid.evaluations.get(row.evaluation_id)) for row in rows[:LISTED]]
    deltas = [report.primary_delta for _, report in shown if report.primary_delta]
    axis = axis_around([bound for delta in deltas for bound in delta.ci95], include_zero=True) if deltas else None
    return visit.page(
        "evaluations.html",
        corpus=corpus_id,
        here="evaluations",
        rows=shown,
        more=len(rows) > LISTED,
        axis=axis,
        scheduled=on_schedule([report for _, report in reversed(shown)]),
    )


class OnSchedule(NamedTuple):
    """What scheduled evaluations measured of the first stage and of what served; x is days since the first."""

    measure: str
    curve: Curve


def on_schedule(reports: Sequence[EvaluationReport]) -> OnSchedule | None:
    """The scheduled ones of these, which are oldest first; None for less than two.

    Only those of the newest one's measure and eval dataset: others' values are no later ones of the same.
    """
    made = [report for report in reports if report.scheduled and report.created_at is not None]
    same = [report for report in made if _measured_on(report) == _measured_on(made[-1])]
    if len(same) < 2:
        return None
    series = [("first stage", "before", lambda _: RETRIEVAL), ("what serves", "after", served)]
    drawn = curve([Series(_points(same, system), kind, name) for name, kind, system in series])
    return OnSchedule(same[-1].primary_measure, drawn)


def _measured_on(report: EvaluationReport) -> tuple[str, str]:
    return report.primary_measure, report.eval_dataset.sha256


def _points(reports: Sequence[EvaluationReport], system: Callable[[EvaluationReport], str]) -> list[Point]:
    points = []
    for report in reports:
        measured = report.systems.get(system(report))
        if measured is not None and report.created_at is not None and reports[0].created_at is not None:
            value, days = measured.means[report.primary_measure], report.created_at - reports[0].created_at
            points.append(
                Point(days.total_seconds() / 86_400, value, title=f"{report.created_at:%Y-%m-%d}: {value:.3f}")
            )
    return points


@router.get("/studio/c/{corpus_id}/evaluations/compare")
def compare(visit: Here, corpus_id: str, a: Id, b: Id, offset: Offset = 0) -> Response:
    """The change from one evaluation to another, over the queries that both asked."""
    found = visit.tribrid.evaluations.diff(a, b, offset=offset, limit=ROWS)
    deltas = [(name, row.delta) for name, row in found.measures.items()]
    return visit.page(
        "evaluations-compared.html",
        corpus=corpus_id,
        here="evaluations",
        found=found,
        forest=_forest(deltas),
        rows=ROWS,
        to=lambda at: link("c", corpus_id, "evaluations", "compare", a=a, b=b, offset=at),
    )


@router.get("/studio/c/{corpus_id}/evaluations/{evaluation_id}")
def evaluation(
    visit: Here,
    corpus_id: str,
    evaluation_id: str,
    q: Annotated[str, Query(max_length=1000)] = "",
    sort: Annotated[str, Query(max_length=200)] = "delta_primary",
    kind: Annotated[str, Query(max_length=2000)] = "",
    offset: Offset = 0,
) -> Response:
    """One evaluation: the verdict, what the gate refused, by how much, and a page of its queries."""
    corpus = visit.tribrid.corpus(corpus_id)
    report = _report(visit, corpus, evaluation_id)
    by = sort if sort and report.delta else None
    rows = visit.tribrid.evaluations.queries(
        evaluation_id, offset=offset, limit=ROWS, sort=by, contains=q.strip(), kind=kind or None
    )
    deltas = [(key, report.delta[key]) for key in report.primary_first] if report.delta else []
    return visit.page(
        "evaluation.html",
        corpus=corpus_id,
        here="evaluations",
        report=report,
        forest=_forest(deltas),
        systems=_systems(report),
        parts_of=[("By kind of query", slices(report)), ("By corpus", corpora(report))],
        learning=learning(report),
        loss=loss(report),
        queries=rows,
        q=q,
        sort=sort,
        sorts=SORTS,
        kind=kind,
        rows=ROWS,
        serves=corpus.models().champion,
        others=[row for row in corpus.evaluations(LISTED) if row.evaluation_id != evaluation_id],
        to=lambda at: (
            link("c", corpus_id, "evaluations", evaluation_id, q=q, sort=sort, kind=kind, offset=at) + "#queries"
        ),
    )


@router.get("/studio/c/{corpus_id}/evaluations/{evaluation_id}/report")
def report(visit: Here, corpus_id: str, evaluation_id: str) -> Response:
    """The report as one page that loads nothing, to keep or to send on."""
    _report(visit, visit.tribrid.corpus(corpus_id), evaluation_id)
    page = visit.tribrid.evaluations.page(evaluation_id, link("c", corpus_id))
    # Its links lead to pages that want the session's cookie, which no browser sends from another origin.
    policy = PAGE_HEADERS["Content-Security-Policy"].replace("sandbox", "sandbox allow-same-origin")
    return HTMLResponse(page, headers=PAGE_HEADERS | {"Content-Security-Policy": policy})


@router.get("/studio/c/{corpus_id}/evaluations/{evaluation_id}/queries.csv")
def as_csv(visit: Here, corpus_id: str, evaluation_id: str) -> Response:
    """Every query with its values before and after, for a spreadsheet."""
    found = _report(visit, visit.tribrid.corpus(corpus_id), evaluation_id)
    values = [f"{side} {key}" for key in found.primary_first for side in ("before", "after")]
    rows = _every(visit, evaluation_id)
    return spreadsheet(f"{corpus_id}-{evaluation_id[:12]}", ["query_id", "query", *values], rows)


def _every(visit: Visit, evaluation_id: str) -> Iterator[list[str]]:
    measures = visit.tribrid.evaluations.get(evaluation_id).primary_first
    offset, total = 0, 1
    while offset < total:
        page = visit.tribrid.evaluations.queries(evaluation_id, offset=offset, limit=AT_ONCE)
        total, offset = page.total, offset + AT_ONCE
        for row in page.queries:
            values = [side.get(key) if side else None for key in measures for side in (row.before, row.after)]
            yield [row.query_id, row.text, *("" if value is None else str(value) for value in values)]


def _report(visit: Visit, corpus: Corpus, evaluation_id: str) -> EvaluationReport:
    found = visit.tribrid.evaluations.get(evaluation_id)
    if found.corpus_id != corpus.corpus_id:
        raise EvaluationNotFound(f"There is no evaluation {evaluation_id!r} in {corpus.corpus_id!r}.")
    return found


def _forest(rows: list[tuple[str, Delta]]) -> Forest | None:
    bounds = [bound for _, delta in rows for bound in delta.ci95]
    return Forest(rows, axis_around(bounds, include_zero=True)) if rows else None


def _systems(found: EvaluationReport) -> Systems | None:
    return systems(found) if found.before else None
