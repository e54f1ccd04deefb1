"""Experiments: two models compared on live searches, with the evidence so far, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.answers.experiment import ExperimentStatus
from tribrid.api.forms import Posted
from tribrid.report.plots import Axis
from tribrid.studio.forecast import forecast, history
from tribrid.studio.visit import Here, lead

router = APIRouter()


@router.get("/studio/c/{corpus_id}/experiment")
def experiment(visit: Here, corpus_id: str) -> Response:
    """How it stands, and forms to start or stop one."""
    corpus = visit.tribrid.corpus(corpus_id)
    models = corpus.models() if visit.may("train") else None
    candidates = [model for model in models.models if model.model_id != models.champion] if models else []
    found = corpus.experiment.get()
    counting = found if isinstance(found, ExperimentStatus) else None
    return visit.page(
        "experiment.html",
        corpus=corpus_id,
        here="experiment",
        found=found,
        forecast=forecast(counting, datetime.now(UTC)) if counting and counting.state == "running" else "",
        history=history(corpus.experiment.history()) if counting else None,
        candidates=candidates,
        axis=Axis(0.0, 1.0),
    )


@router.post("/studio/c/{corpus_id}/experiment/start")
def start(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Mix the champion's rankings with a challenger's from now on."""
    experiment = visit.tribrid.corpus(corpus_id).experiment
    experiment.start(form.text("model_id") or None, again=form.text("again") == "yes")
    return lead("c", corpus_id, "experiment", done="started")


@router.post("/studio/c/{corpus_id}/experiment/stop")
def stop(visit: Here, corpus_id: str) -> Response:
    """Serve the champion alone again."""
    visit.tribrid.corpus(corpus_id).experiment.stop()
    return lead("c", corpus_id, "experiment", done="stopped")
