"""The three calls that make a ranking better, mine, train and evaluate, and what the reranker is doing now."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from tribrid.answers.difference import EvaluationDifference
from tribrid.answers.evaluations import EvaluationList
from tribrid.answers.jobs import (
    EvaluationResult,
    JobAddress,
    JobEnd,
    JobInterruption,
    MiningResult,
    RunAddress,
    TrainingResult,
)
from tribrid.answers.judging import JudgeLabelPage, JudgingResult
from tribrid.answers.readiness import Readiness
from tribrid.answers.report import EvaluationReport, QueryRows
from tribrid.answers.status import RerankerInfo, RerankerStatus
from tribrid.answers.triplets import ReviewedTriplet, TripletPage
from tribrid.api.answers import Json
from tribrid.api.facade import Facade
from tribrid.api.limits import JsonRoute, LargeJsonRoute
from tribrid.api.openapi import TEXT
from tribrid.api.schemas import EvaluateBody, JudgeBody, Limit, MineBody, OfCorpus, Offset, ReviewBody, TrainBody
from tribrid.api.scopes import require_admin
from tribrid.api.waiting import accepted, job_address, job_response, prefers_async
from tribrid.types import Job, JobKind, Source, TripletStatus

router = APIRouter(tags=["reranker"], route_class=JsonRoute)
_with_runs = APIRouter(route_class=LargeJsonRoute)

_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": JobAddress, "description": "With `wait` off: the job is queued."}
}
# The page holds text of documents and queries: escaped, and on top of that nothing in it may run or call out.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
EvaluationId = Annotated[str, Query(max_length=64, description="An evaluation.")]


@router.get(
    "/reranker/status",
    summary="What reranks now",
    response_model=RerankerStatus,
    response_description="Mode, model, loaded or why not.",
)
def status(
    tribrid: Facade,
    corpus_id: Annotated[str | None, Query(max_length=64, description="Of this corpus; default: globally.")] = None,
) -> Json:
    """`model_id` is what serves; `reason` says why nothing does. `experiment` is the corpus's comparison of two
    models on live searches (setting `reranking.experiment`), null for none.
    """
    return Json(tribrid.status() if corpus_id is None else tribrid.corpus(corpus_id).status())


@router.get(
    "/reranker/info",
    summary="How it is made: backends, versions, limits, hyperparameters",
    response_model=RerankerInfo,
)
def info(tribrid: Facade) -> Json:
    """Every training hyperparameter is listed with its default and bounds."""
    return Json(tribrid.info())


@router.get(
    "/reranker/readiness",
    summary="Whether there is enough data to train",
    response_model=Readiness,
    response_description="Yes, perhaps or no, what is missing, and what that rests on.",
)
def readiness(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """Answers in about two seconds, before anything is mined: labelled queries by source, the share of their documents
    that retrieval finds, the smallest change that the eval dataset can tell from chance, and a rough guide to the gain.
    """
    return Json(tribrid.corpus(corpus_id).readiness())


@router.post(
    "/reranker/mine",
    summary="Mine triplets from logs, judgments and heuristics",
    response_model=MiningResult | JobEnd | JobInterruption,
    response_description="What was mined, by source, and what was rejected and why.",
    responses=_LATER,
)
def mine(body: MineBody, request: Request, tribrid: Facade) -> Response:
    """Answers when it is done; until then the body is white space. `"wait": false`: 202 and the job's address."""
    sources = None if body.sources is None else list(dict.fromkeys(body.sources))
    job = tribrid.corpus(body.corpus_id).submit_mine(max_pairs=body.max_pairs, sources=sources)
    return job_response(request, tribrid, job, wait=body.wait)


@router.post(
    "/reranker/judge",
    summary="Let a model judge documents",
    response_model=JudgingResult | JobEnd | JobInterruption,
    response_description="What was asked and answered, and how well the model agrees with people.",
    responses=_LATER,
)
def judge(body: JudgeBody, request: Request, tribrid: Facade) -> Response:
    """The model that the settings of `judging` name grades what people judged, and frequent queries that nobody judged.
    Only what is not answered yet is asked. Its labels are a source of mining, and never part of an eval dataset.
    `"wait": false`: 202 and the job's address.
    """
    job = tribrid.corpus(body.corpus_id).submit_judge(queries=body.queries, of=body.of)
    return job_response(request, tribrid, job, wait=body.wait)


@router.get(
    "/reranker/judge",
    summary="What a model judged, and how well it agrees with people",
    response_model=JudgeLabelPage,
    response_description="Its agreement, and a page of its labels with their reasons.",
)
def judge_labels(corpus_id: OfCorpus, tribrid: Facade, offset: Offset = 0, limit: Limit = 50) -> Json:
    """Of the judge in force: another model, shape or guideline is another judge."""
    return Json(tribrid.corpus(corpus_id).judge_labels(offset, limit))


@router.post(
    "/reranker/train",
    status_code=202,
    summary="Train a reranker on the mined triplets",
    response_model=RunAddress,
    response_description="The run is queued. One at a time runs for a corpus; the rest wait.",
    responses={200: {"model": TrainingResult | JobEnd | JobInterruption, "description": "With `wait`: what it made."}},
)
def train(body: TrainBody, request: Request, tribrid: Facade) -> Response:  # type: ignore[valid-type]
    """Answers at once with the run's address. Any setting of the section `training` can be given for this run alone; an
    unknown one is a 422 that names it. `"wait": true`: answers when it is done.
    """
    call: Any = body
    if "base_model" in call.hyperparameters():
        require_admin(request, "To name a base model, which may be fetched from a hub or read from any folder,")
    job = tribrid.corpus(call.corpus_id).submit_train(call.hyperparameters())
    if call.wait and not prefers_async(request):
        return job_response(request, tribrid, job, wait=True)
    return accepted(_run_address(tribrid, job))


def _run_address(tribrid: Facade, job: Job) -> RunAddress:
    run = f"/reranker/train/run/{job.job_id}"
    ahead = [pending.job_id for pending in tribrid.store.jobs.pending(job.corpus_id, JobKind.TRAIN)]
    return RunAddress(
        **dict(job_address(tribrid, job).model_copy(update={"status_url": run})),
        run_id=job.job_id,
        queued_behind=ahead.index(job.job_id) if job.job_id in ahead else 0,
        metrics_url=f"{run}/metrics",
    )


@_with_runs.post(
    "/reranker/evaluate",
    summary="Measure before against after on the eval dataset",
    response_model=EvaluationResult | JobEnd | JobInterruption,
    response_description="The report.",
    responses=_LATER,
)
def evaluate(body: EvaluateBody, request: Request, tribrid: Facade) -> Response:
    """Comes after every training already queued for the corpus, and reports on what that made; `after` is null where no
    model was trained yet, and `before` then is the baseline. Answers when it is done; until then the body is white
    space. `"wait": false`: 202 and the job's address.

    `arms` lets others take part: another engine by its TREC run file (up to 32 MiB in all), which is stored by its
    hash, or another version of the model. `corpus_ids` asks whether the gain is the same on several corpora.
    """
    first, *others = body.corpora
    arms = [arm.model_dump(exclude_none=True) for arm in body.arms]
    job = tribrid.corpus(first).submit_evaluate(model_id=body.model_id, corpus_ids=others, arms=arms)
    return job_response(request, tribrid, job, wait=body.wait)


router.include_router(_with_runs)


@router.get("/reranker/triplets", summary="What the last mining made, triplet by triplet", response_model=TripletPage)
def triplets(
    corpus_id: OfCorpus,
    tribrid: Facade,
    source: Annotated[Source | None, Query(description="Only from there.")] = None,
    status: Annotated[
        TripletStatus | None, Query(description="Only those that stand so; `review`: they wait for a decision.")
    ] = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> Json:
    """Each with its source, weight, reason and status. What is in review is not trained on: its negative is likely to
    be relevant too. Decide with PATCH.
    """
    return Json(tribrid.corpus(corpus_id).triplets(source=source, status=status, offset=offset, limit=limit))


@router.patch(
    "/reranker/triplets/{triplet_id}",
    summary="Accept, flip or drop a triplet",
    response_model=ReviewedTriplet,
    response_description="The triplet as it stands now.",
)
def review(triplet_id: str, body: ReviewBody, tribrid: Facade) -> Json:
    """Holds for the mined set and for every later mining; deciding again replaces the decision. A document that is
    decided to be relevant to a query for one positive and not for another is a 409 that names the other triplet.
    """
    return Json(tribrid.review(triplet_id, body.decision))


@router.get("/reranker/evaluations", summary="The corpus's evaluations, newest first", response_model=EvaluationList)
def evaluations(corpus_id: OfCorpus, tribrid: Facade) -> Json:
    """What each decided, and its `evaluation_id`."""
    return Json(EvaluationList(evaluations=tuple(tribrid.corpus(corpus_id).evaluations())))


# Before the route of one report, which would take its name for an id.
@router.get(
    "/reranker/evaluations/diff",
    summary="Two evaluations side by side",
    response_model=EvaluationDifference,
    response_description="What changed from a to b.",
)
def evaluation_diff(a: EvaluationId, b: EvaluationId, tribrid: Facade, offset: Offset = 0, limit: Limit = 50) -> Json:
    """The change in each measure with its interval and p-value, over the queries that both asked in the same words and
    judged alike, and these queries, the largest change first. Compared is what each measured as `after`. 409 where they
    share no such query, with the reason.
    """
    return Json(tribrid.evaluations.diff(a, b, offset=offset, limit=limit))


@router.get(
    "/reranker/evaluations/{evaluation_id}",
    summary="One report",
    response_model=EvaluationReport,
    responses={200: {"description": "The report.", "content": {"text/html": TEXT, "application/xml": TEXT}}},
)
def evaluation(
    evaluation_id: str,
    tribrid: Facade,
    form: Annotated[
        Literal["json", "html", "junit"],
        Query(alias="format", description="`html`: one page that loads nothing. `junit`: XML for CI."),
    ] = "json",
) -> Response:
    """As POST /reranker/evaluate answered it; or as a page that quotes the documents as they are now; or as JUnit XML,
    with a test for each check of the gate and for each measure.
    """
    if form == "html":
        return HTMLResponse(tribrid.evaluations.page(evaluation_id), headers=PAGE_HEADERS)
    if form == "junit":
        return Response(
            tribrid.evaluations.junit(evaluation_id).encode("utf-8", "replace"), media_type="application/xml"
        )
    return Json(tribrid.evaluations.get(evaluation_id))


@router.get(
    "/reranker/evaluations/{evaluation_id}/queries", summary="A report query by query", response_model=QueryRows
)
def evaluation_queries(
    evaluation_id: str,
    tribrid: Facade,
    offset: Offset = 0,
    limit: Limit = 50,
    sort: Annotated[
        str | None,
        Query(
            max_length=200,
            description="A number in the rows, such as `delta_primary`; `-delta_primary` for the highest first.",
        ),
    ] = None,
) -> Json:
    """What each query won or lost, with its rankings before and after."""
    return Json(tribrid.evaluations.queries(evaluation_id, offset=offset, limit=limit, sort=sort))
