"""Jobs and training runs: how they stand, waiting for them, ending them, their events, and two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

from tribrid import jobs
from tribrid.answers.answer import time_at
from tribrid.answers.difference import RunDifference
from tribrid.answers.jobs import (
    EvaluationResult,
    JobEnd,
    JobProblem,
    JobResult,
    JobStatus,
    MiningResult,
    RunStatus,
    TrainingResult,
    TrainingRun,
)
from tribrid.answers.judging import JudgingResult
from tribrid.app.parts import FolderPart
from tribrid.app.rundiff import RunFacts, run_difference
from tribrid.errors import (
    JobNotFound,
    RunNotFound,
)
from tribrid.store.events import no_job
from tribrid.types import Event, Job, JobKind, State
from tribrid.workspace.corpus import OpenCorpus

Watch = Callable[[Event], None]


_RESULTS: Mapping[JobKind, type[JobResult]] = {
    JobKind.MINE: MiningResult,
    JobKind.TRAIN: TrainingResult,
    JobKind.EVALUATE: EvaluationResult,
    JobKind.JUDGE: JudgingResult,
}


class Jobs(FolderPart):
    """Every job of a data folder, by its id."""

    def get(self, job_id: str) -> JobStatus:
        """A job as it stands.

        Raises:
            JobNotFound.
        """
        return JobStatus(**_standing(self._seen(job_id)))

    def _seen(self, job_id: str) -> Job:
        """The job, if all that it tells of is within bounds: an evaluation may have looked at other corpora too.

        Raises:
            JobNotFound.
        """
        job = self._folder.store.jobs.get(job_id)
        others = job.params.get("corpus_ids")
        if not self._bounds.hold(job.corpus_id, *(others if isinstance(others, list) else ())):
            raise no_job(job_id)
        return job

    def events(self, job_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        """The stored events of a job after `after_seq`, in order.

        Raises:
            JobNotFound.
        """
        self._seen(job_id)
        return self._folder.store.events.read(job_id, after_seq, limit)

    def wait(self, job_id: str, *, timeout_s: float | None = None, on_event: Watch | None = None) -> Job:
        """The job as it ended, or as it stands after `timeout_s`.

        Raises:
            JobNotFound.
        """
        self._seen(job_id)
        return jobs.wait(self._folder.store, job_id, timeout_s, on_event)

    def outcome(self, job: Job) -> JobResult | JobEnd:
        """A finished job's answer: its result, or its status with the problem."""
        found = result_of(job)
        return found or JobEnd(status=job.state, job_id=job.job_id, problem=_problem(job))

    def cancel(self, run_id: str) -> JobStatus:
        """Ask a queued or running job to end.

        Raises:
            JobNotFound, NotRunning.
        """
        self._seen(run_id)
        return JobStatus(**_standing(jobs.cancel(self._folder.store, run_id)))


_MANIFEST = ("config", "data", "base", "encoder", "retrieval", "reranking", "versions")
"""What a model's manifest says of where it comes from."""


class Runs(FolderPart):
    """Training runs, by their id."""

    def get(self, run_id: str) -> TrainingRun:
        """A training run: its state, parameters, and what it made; of one that made nothing yet, its last numbers.

        Raises:
            RunNotFound.
        """
        job = self._run(run_id)
        facts = {
            "metrics": (job.result or {}).get("metrics") or self._so_far(run_id),
            "config": self._manifest(job).get("config"),
            "metrics_url": f"/reranker/train/run/{run_id}/metrics",
        }
        return TrainingRun.model_validate({**_run_standing(job), **facts})

    def _manifest(self, job: Job) -> Mapping[str, Any]:
        """Of what the run made; empty if it made nothing."""
        model_id = (job.result or {}).get("model_id")
        return self._folder.store.models.get(model_id).manifest if model_id else {}

    def _so_far(self, run_id: str) -> dict[str, JsonValue] | None:
        """The last value of each number that a run has told; None where it has told none."""
        found: dict[str, JsonValue] = {}
        for data in self._folder.store.events.told(run_id, "metrics"):
            found |= data
        return found or None

    def events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        """The stored events of a job after `after_seq`, in order.

        Raises:
            RunNotFound.
        """
        self._run(run_id)
        return self._folder.store.events.read(run_id, after_seq, limit)

    def diff(self, a: str, b: str) -> RunDifference:
        """What differs between two training runs, by dotted name: settings, data, base model, library versions,
        metrics, and the last value of each number told while training. `notes` say what may not be compared.

        Raises:
            RunNotFound.
        """
        found = run_difference(self._run_facts(a), self._run_facts(b))
        evaluations = {"a": self._evaluation_of(a), "b": self._evaluation_of(b)}
        return found.model_copy(update={"evaluations": evaluations})

    def _run_facts(self, run_id: str) -> RunFacts:
        job = self._run(run_id)
        manifest = self._manifest(job)
        known = {name: manifest.get(name) for name in _MANIFEST}
        known |= {"params": dict(job.params), "metrics": (job.result or {}).get("metrics")}
        problem = _problem(job)
        return RunFacts(
            run_id=run_id,
            corpus_id=job.corpus_id,
            state=job.state,
            problem=problem.detail if problem else None,
            known=known,
            events=list(self._folder.store.events.told(run_id, "metrics")),
        )

    def _evaluation_of(self, run_id: str) -> str | None:
        """The newest evaluation of what the run made."""
        corpus_id = self._folder.store.jobs.get(run_id).corpus_id
        rows = self._folder.store.evaluations.list(corpus_id)
        return next((row.evaluation_id for row in rows if row.report.run_id == run_id), None)

    def _run(self, run_id: str) -> Job:
        try:
            job = self._folder.store.jobs.get(run_id)
        except JobNotFound:
            job = None
        if job is None or job.kind is not JobKind.TRAIN or not self._bounds.hold(job.corpus_id):
            raise RunNotFound(
                f"There is no training run {run_id!r}. GET /reranker/train/runs lists them.", run_id=run_id
            )
        return job


def list_runs(corpus: OpenCorpus) -> list[RunStatus]:
    """The corpus's training runs, newest first."""
    return [RunStatus(**_run_standing(job)) for job in corpus.store.jobs.list(corpus.corpus_id, JobKind.TRAIN)]


def list_jobs(corpus: OpenCorpus) -> list[JobStatus]:
    """The corpus's jobs of every kind, newest first, at most 100."""
    return [JobStatus(**_standing(job)) for job in corpus.store.jobs.list(corpus.corpus_id)]


def result_of(job: Job) -> JobResult | None:
    """What a job made that succeeded."""
    if job.state is not State.SUCCEEDED:
        return None
    # Older builds left it to the row whose job it was.
    return _RESULTS[job.kind].model_validate({"job_id": job.job_id, **(job.result or {})})


def _problem(job: Job) -> JobProblem | None:
    return None if job.problem is None else JobProblem.model_validate(job.problem)


def _standing(job: Job) -> dict[str, Any]:
    """The fields of a JobStatus."""
    return {
        "job_id": job.job_id,
        "kind": job.kind,
        "corpus_id": job.corpus_id,
        "state": job.state,
        "params": dict(job.params),
        "progress": job.progress,
        "result": result_of(job),
        "problem": _problem(job),
        "cancel_requested": job.cancel_requested,
        "interrupted": job.interrupted,
        "created_at": time_at(job.created_us),
        "started_at": time_at(job.started_us),
        "finished_at": time_at(job.finished_us),
    }


def _run_standing(job: Job) -> dict[str, Any]:
    """The fields of a RunStatus."""
    return {**_standing(job), "run_id": job.job_id, "model_id": (job.result or {}).get("model_id")}
