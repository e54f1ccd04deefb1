"""How far a corpus's loop has come, and the one thing to do next. Answers in, words out: nothing is looked up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tribrid.answers.corpora import CorpusFacts
from tribrid.answers.evalsets import EvalDatasetVersion
from tribrid.answers.evaluations import EvaluationRow
from tribrid.answers.jobs import JobStatus
from tribrid.answers.logs import LogStats
from tribrid.answers.models import ModelList
from tribrid.answers.triplets import TripletPage
from tribrid.studio.words import counted
from tribrid.types import JobKind, State

Condition = Literal["done", "next", "running", "failed", "blocked", "none"]
COUNTED = 10
"""Evaluations that are counted; to count one takes milliseconds."""
LEAST_JUDGED = 12
"""Queries with which a first eval dataset is worth fixing; more see smaller changes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a corpus. `jobs` newest first."""

    facts: CorpusFacts
    stats: LogStats
    mined: TripletPage | None
    dataset: EvalDatasetVersion | None
    models: ModelList
    evaluations: Sequence[EvaluationRow]
    jobs: Sequence[JobStatus]

    def last(self, kind: JobKind) -> JobStatus | None:
        """The newest job of a kind."""
        return next((job for job in self.jobs if job.kind is kind), None)

    @property
    def running(self) -> JobStatus | None:
        """What runs, or waits to."""
        open_jobs = [job for job in self.jobs if not job.state.final]
        return next((job for job in open_jobs if job.state is State.RUNNING), open_jobs[-1] if open_jobs else None)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the loop. `page`: where it is looked at; `why`: what keeps it from being done, or what failed."""

    name: str
    condition: Condition
    count: str
    page: str
    at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do next, where, and why that. `job`: it is a job that can be started at once."""

    label: str
    page: str
    why: str
    job: JobKind | None = None


def steps(standing: Standing) -> list[Step]:
    """The loop's steps, in its order."""
    return [_logged(standing), _mined(standing), _trained(standing), _evaluated(standing), _serving(standing)]


def _logged(standing: Standing) -> Step:
    stats = standing.stats
    if not stats.impressions:
        why = "" if standing.facts.documents else "There are no documents to search."
        return Step("Logged", "none" if standing.facts.documents else "blocked", "no search yet", "logs", None, why)
    acted = f"{stats.with_feedback:,} with feedback"
    return Step("Logged", "done", f"{counted(stats.impressions, 'list')}, {acted}", "logs", stats.last_at)


def _mined(standing: Standing) -> Step:
    if step := _at_work(standing, JobKind.MINE, "Mined"):
        return step
    if not standing.facts.documents:
        return Step("Mined", "blocked", "nothing", "runs", why="There are no documents.")
    if standing.mined is None:
        return Step("Mined", "none", "nothing yet", "runs")
    counts = standing.mined.counts
    return Step("Mined", "done", counted(counts.triplets, "triplet"), "review", standing.mined.created_at)


def _trained(standing: Standing) -> Step:
    if step := _at_work(standing, JobKind.TRAIN, "Trained"):
        return step
    models = standing.models.models
    if models:
        return Step("Trained", "done", counted(len(models), "model"), "models", models[0].created_at)
    if standing.mined is None:
        return Step("Trained", "blocked", "no model", "runs", why="Mine first: there are no triplets to train on.")
    return Step("Trained", "none", "no model yet", "runs")


def _evaluated(standing: Standing) -> Step:
    if step := _at_work(standing, JobKind.EVALUATE, "Evaluated"):
        return step
    if standing.evaluations:
        newest = standing.evaluations[0]
        said = "last said: promote" if newest.decision == "promote" else "last said: keep"
        found = len(standing.evaluations)
        many = counted(found, "evaluation") if found <= COUNTED else f"more than {COUNTED} evaluations"
        count = f"{many}, {said}"
        return Step("Evaluated", "done", count, "evaluations", newest.created_at)
    if standing.dataset is None:
        return Step(
            "Evaluated", "blocked", "not measured", "judge", why="There is no eval dataset: judge some queries."
        )
    return Step("Evaluated", "none", "not measured yet", "evaluations")


def _serving(standing: Standing) -> Step:
    if standing.models.champion is None:
        return Step("Serving", "none", "no trained model", "models")
    change = next(iter(standing.models.promotions), None)
    served = f"model {standing.models.champion[:8]}"
    return Step("Serving", "done", served, "models", change.at if change else None)


def _at_work(standing: Standing, kind: JobKind, name: str) -> Step | None:
    """The step where its newest job is under way or has failed."""
    job = standing.last(kind)
    if job is None or job.state in (State.SUCCEEDED, State.CANCELLED):
        return None
    if job.state is State.FAILED:
        why = job.problem.detail if job.problem else ""
        return Step(name, "failed", "the last one failed", f"runs/{job.job_id}", job.finished_at, why)
    word = "waits" if job.state is State.QUEUED else "runs now"
    return Step(name, "running", word, f"runs/{job.job_id}", job.started_at or job.created_at)


def action(standing: Standing) -> Action:
    """The one thing to do next."""
    if not standing.facts.documents:
        return Action("Add documents", "documents", "There is nothing to search yet.")
    if (job := standing.running) is not None:
        verb = {JobKind.MINE: "mining", JobKind.TRAIN: "training", JobKind.EVALUATE: "evaluation"}[job.kind]
        return Action(f"Watch the {verb}", f"runs/{job.job_id}", "It is under way; the rest waits for it.")
    if standing.dataset is None:
        return Action(
            "Judge queries",
            "judge",
            f"Nothing can be shown to be better before there is something to measure on. {LEAST_JUDGED} judged queries "
            "are a start.",
        )
    return _learning(standing)


def _learning(standing: Standing) -> Action:
    """What comes next once there are documents and an eval dataset."""
    mined, models = standing.mined, standing.models.models
    if mined is None:
        why = "Clicks, judgments and headings are turned into triplets to train on."
        return Action("Mine", "runs", why, JobKind.MINE)
    if not mined.counts.triplets:
        why = "The last mining found nothing to learn from. Clicks help, and judged queries that are not measured on."
        return Action("Judge more", "judge", why)
    if not models or models[0].created_at < mined.created_at:
        return Action("Train", "runs", "There are triplets that no model has learned from.", JobKind.TRAIN)
    if models[0].model_id == standing.models.champion:
        return Action("Search and judge", "search", "More clicks and judgments are what the next round learns from.")
    return _deciding(standing, models[0].model_id)


def _deciding(standing: Standing, newest: str) -> Action:
    """What comes next once there is a model that does not serve."""
    found = next((row for row in standing.evaluations if row.model_id == newest), None)
    if found is None:
        return Action("Evaluate", "runs", "The newest model was never compared with what serves.", JobKind.EVALUATE)
    if found.decision == "promote":
        return Action("Promote", f"models/{newest}", "The newest model won, and does not serve.")
    return Action("Search and judge", "search", "The newest model did not win. More clicks and judgments may help.")
