"""Runs: start a mining, a training or an evaluation; watch one, end it, and lay two trainings side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from tribrid.answers.costs import CostEstimate
from tribrid.answers.jobs import JobStatus
from tribrid.api.forms import Form, Posted
from tribrid.app.corpus import Corpus
from tribrid.errors import InvalidInput, JobNotFound
from tribrid.report.plots import Curve, Point, Series, curve
from tribrid.studio.fields import changed, fields
from tribrid.studio.visit import Here, Visit, lead
from tribrid.studio.words import lasted
from tribrid.types import Event, Job, JobKind, Source, State

router = APIRouter()
LINES, POINTS, EVENTS_READ, EVENTS_AT_ONCE = 300, 200, 20_000, 5000
ADMINS = ("base_model",)
"""Hyperparameters that the scope `train` is not enough for."""
_AXES = frozenset({"step", "epoch"})
Id = Annotated[str, Query(max_length=64)]


@router.get("/studio/c/{corpus_id}/runs")
def runs(visit: Here, corpus_id: str) -> Response:
    """Forms to start one, and every run so far."""
    corpus = visit.tribrid.corpus(corpus_id)
    settings = corpus.settings().settings
    facts = corpus.describe()
    training = [field for field in fields("training", settings["training"]) if visit.may() or field.name not in ADMINS]
    return visit.page(
        "runs.html",
        corpus=corpus_id,
        here="runs",
        jobs=corpus.jobs(),
        readiness=corpus.readiness() if facts.documents else None,
        facts=facts,
        sources=[source.value for source in Source],
        max_pairs=settings["mining"]["max_pairs"].value,
        training=training,
        models=corpus.models(),
        costs={kind.value: _cost(corpus, kind) for kind in JobKind} if facts.documents else {},
    )


@router.post("/studio/c/{corpus_id}/runs/mine")
def mine(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Queue a mining."""
    pairs = form.text("max_pairs")
    if pairs and (not pairs.isdecimal() or len(pairs) > 9):
        raise InvalidInput("max_pairs: a whole number.")
    sources = form.texts("sources") or None
    job = visit.tribrid.corpus(corpus_id).submit_mine(max_pairs=int(pairs) if pairs else None, sources=sources)
    return _queued(corpus_id, job)


@router.post("/studio/c/{corpus_id}/runs/train")
def train(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Queue a training, with what was filled in differently from the settings."""
    corpus = visit.tribrid.corpus(corpus_id)
    given = changed(fields("training", corpus.settings().settings["training"]), _texts(form))
    if not given.keys().isdisjoint(ADMINS):
        visit.require()
    return _queued(corpus_id, corpus.submit_train(given))


@router.post("/studio/c/{corpus_id}/runs/evaluate")
def evaluate(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Queue an evaluation."""
    job = visit.tribrid.corpus(corpus_id).submit_evaluate(model_id=form.text("model_id") or None)
    return _queued(corpus_id, job)


@router.get("/studio/c/{corpus_id}/runs/compare")
def compare(visit: Here, corpus_id: str, a: Id, b: Id) -> Response:
    """Two trainings side by side."""
    found = visit.tribrid.runs.diff(a, b)
    return visit.page("runs-compared.html", corpus=corpus_id, here="runs", found=found)


@router.get("/studio/c/{corpus_id}/runs/{job_id}")
def run(visit: Here, corpus_id: str, job_id: str) -> Response:
    """One run: how far it is, its log and curves, and what came of it. For a script, the part that changes."""
    return _run(visit, corpus_id, job_id)


@router.post("/studio/c/{corpus_id}/runs/{job_id}/cancel")
def cancel(visit: Here, corpus_id: str, job_id: str) -> Response:
    """Ask it to end."""
    visit.tribrid.jobs.cancel(job_id)
    return lead("c", corpus_id, "runs", job_id, done="cancelled")


def _run(visit: Visit, corpus_id: str, job_id: str) -> Response:
    job = visit.tribrid.jobs.get(job_id)
    if job.corpus_id != corpus_id:
        raise JobNotFound(f"There is no job {job_id!r} in {corpus_id!r}.", job_id=job_id)
    events = _events(visit, job_id)
    return visit.page(
        "run-part.html" if visit.swapped else "run.html",
        corpus=corpus_id,
        here="runs",
        job=job,
        lines=[event for event in events if event.type in ("log", "error", "state")][-LINES:],
        curves=curves(events),
        left=left(job, events, visit.tribrid.corpus(corpus_id).estimate(job.kind, job.params), datetime.now(UTC)),
        others=[other for other in visit.tribrid.corpus(corpus_id).runs() if other.run_id != job_id][:20],
    )


def _events(visit: Visit, job_id: str) -> list[Event]:
    """The run's events: all, but for what one of many thousands told after those that are read."""
    found: list[Event] = []
    while len(found) < EVENTS_READ:
        page = visit.tribrid.jobs.events(job_id, found[-1].seq if found else 0, EVENTS_AT_ONCE)
        found += page
        if len(page) < EVENTS_AT_ONCE:
            break
    return found


def left(job: JobStatus, events: Sequence[Event], cost: CostEstimate, now: datetime) -> str:
    """How long a running job will still take, in words; empty where it does not run."""
    if job.state is not State.RUNNING or job.started_at is None:
        return ""
    passed_s = (now - job.started_at).total_seconds()
    stage = _stage_left_s(events)
    of_stage = f" This stage takes about {lasted(stage)} more." if stage is not None else ""
    if not cost.compute_s:
        return f"For {lasted(passed_s)} so far.{of_stage}"
    if passed_s > cost.compute_s:
        return f"For {lasted(passed_s)} so far, longer than the {lasted(cost.compute_s)} that were estimated.{of_stage}"
    return f"About {lasted(cost.compute_s - passed_s)} left, of {lasted(cost.compute_s)} estimated.{of_stage}"


def _stage_left_s(events: Sequence[Event]) -> float | None:
    """How long the present stage takes from its last word on, at the rate it had; None where it does not count."""
    told = [event for event in events if event.type == "progress" and event.data.get("total")]
    if not told:
        return None
    last = told[-1]
    if "eta_s" in last.data:
        return float(last.data["eta_s"])
    first = next(event for event in told if event.data.get("stage") == last.data.get("stage"))
    done = last.data.get("done", 0) - first.data.get("done", 0)
    passed_s = (last.at_us - first.at_us) / 1e6
    return (last.data["total"] - last.data["done"]) * passed_s / done if done > 0 and passed_s > 0 else None


def curves(events: Sequence[Event]) -> list[tuple[str, Curve]]:
    """A curve for each number that a run told more than once, by step."""
    told: dict[str, dict[float, float]] = {}
    for at, event in enumerate(events):
        if event.type == "metrics":
            numbers = {name: value for name, value in event.data.items() if _is_number(value)}
            step = float(numbers.get("step", at))
            for name in numbers.keys() - _AXES:
                told.setdefault(name, {})[step] = numbers[name]
    return [(name, _curve(of)) for name, of in sorted(told.items()) if len(of) > 1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _curve(of: Mapping[float, float]) -> Curve:
    """At most some hundred points, evenly spaced, and the last."""
    every = sorted(of.items())
    shown = every if len(every) <= POINTS else [*every[:: math.ceil(len(every) / POINTS)], every[-1]]
    return curve([Series([Point(x, y, title=f"step {x:g}: {y:.4g}") for x, y in dict(shown).items()], "after")])


def _queued(corpus_id: str, job: Job) -> Response:
    return lead("c", corpus_id, "runs", job.job_id, done="queued")


def _cost(corpus: Corpus, kind: JobKind) -> CostEstimate:
    return corpus.estimate(kind)


def _texts(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in form.fields}
