"""Experiments: two models compared on live searches, with the evidence so far, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from tribrid.answers.experiment import ExperimentDay, ExperimentStatus
from tribrid.api.forms import Posted
from tribrid.report.plots import Axis, Curve, Point, Series, curve
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
        history=history(corpus.experiment.history()) if counting else None,
        candidates=candidates,
        axis=Axis(0.0, 1.0),
    )


@router.post("/studio/c/{corpus_id}/experiment/start")
def start(visit: Here, corpus_id: str, form: Posted) -> Response:
    """Mix the champion's rankings with a challenger's from now on."""
    experiment = visit.tribrid.corpus(corpus_id).experiment
    again, ab = form.text("again") == "yes", form.text("design") == "ab"
    experiment.start(form.text("model_id") or None, again=again, design="ab" if ab else "interleave")
    return lead("c", corpus_id, "experiment", done="started")


@router.post("/studio/c/{corpus_id}/experiment/stop")
def stop(visit: Here, corpus_id: str) -> Response:
    """Serve the champion alone again."""
    visit.tribrid.corpus(corpus_id).experiment.stop()
    return lead("c", corpus_id, "experiment", done="stopped")


def history(days: Sequence[ExperimentDay]) -> Curve | None:
    """The share of wins with its interval, by day; None for a single day."""
    if len(days) < 2:
        return None
    points = [
        Point(
            (row.day - days[0].day).days,
            row.wins / (row.wins + row.losses),
            (row.low, row.high),
            f"{row.day}: {row.wins:,} of {row.wins + row.losses:,}, {row.low:.0%} to {row.high:.0%}",
        )
        for row in days
    ]
    return curve([Series(points, "after")], y=Axis(0.0, 1.0))
