"""Jobs and training runs: how they stand, waiting for them, ending them, their events, and two compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tribrid import jobs
from tribrid.answers.difference import RunDifference
from tribrid.app.parts import FolderPart
from tribrid.app.rundiff import run_difference
from tribrid.app.views import job_view
from tribrid.errors import (
    JobNotFound,
    RunNotFound,
)
from tribrid.types import Event, Job, JobKind, State
from tribrid.workspace.corpus import OpenCorpus

Watch = Callable[[Event], None]


class Jobs(FolderPart):
    """Every job of a data folder, by its id."""

    def get(self, job_id: str) -> dict[str, Any]:
        """A job as it stands.

        Raises:
            JobNotFound.
        """
        return job_view(self._folder.store.jobs.get(job_id))

    def wait(self, job_id: str, *, timeout_s: float | None = None, on_event: Watch | None = None) -> Job:
        """The job as it ended, or as it stands after `timeout_s`.

        Raises:
            JobNotFound.
        """
        return jobs.wait(self._folder.store, job_id, timeout_s, on_event)

    def outcome(self, job: Job) -> dict[str, Any]:
        """A finished job's answer: its result, or its status with the problem."""
        if job.state is State.SUCCEEDED:
            return dict(job.result or {})
        return {"status": job.state, "job_id": job.job_id, "problem": job.problem}

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a queued or running job to end.

        Raises:
            JobNotFound, NotRunning.
        """
        return job_view(jobs.cancel(self._folder.store, run_id))


_MANIFEST = ("config", "data", "base", "encoder", "retrieval", "reranking", "versions")
"""What a model's manifest says of where it comes from."""


class Runs(FolderPart):
    """Training runs, by their id."""

    def get(self, run_id: str) -> dict[str, Any]:
        """A training run: its state, parameters, and what it made; of one that made nothing yet, its last numbers.

        Raises:
            RunNotFound.
        """
        job = self._run(run_id)
        result: Mapping[str, Any] = job.result or {}
        model_id = result.get("model_id")
        manifest = self._folder.store.models.get(model_id).manifest if model_id else {}
        return {
            "run_id": run_id,
            **job_view(job),
            "model_id": model_id,
            "metrics": result.get("metrics") or self._so_far(run_id),
            "config": manifest.get("config"),
            "metrics_url": f"/reranker/train/run/{run_id}/metrics",
        }

    def _so_far(self, run_id: str) -> dict[str, Any] | None:
        """The last value of each number that a run has told; None where it has told none."""
        found: dict[str, Any] = {}
        for data in self._folder.store.events.metrics(run_id):
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

    def _run_facts(self, run_id: str) -> dict[str, Any]:
        """All that is known of a training run, in sections."""
        job = self._run(run_id)
        model_id = (job.result or {}).get("model_id")
        manifest = self._folder.store.models.get(model_id).manifest if model_id else {}
        return {
            "run_id": run_id,
            **{name: job_view(job)[name] for name in ("corpus_id", "state", "params", "problem")},
            **{name: manifest.get(name) for name in _MANIFEST},
            "metrics": (job.result or {}).get("metrics"),
            "events": list(self._folder.store.events.metrics(run_id)),
        }

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
        if job is None or job.kind is not JobKind.TRAIN:
            raise RunNotFound(
                f"There is no training run {run_id!r}. GET /reranker/train/runs lists them.", run_id=run_id
            )
        return job


def list_runs(corpus: OpenCorpus) -> list[dict[str, Any]]:
    """The corpus's training runs, newest first."""
    found = corpus.store.jobs.list(corpus.corpus_id, JobKind.TRAIN)
    return [{"run_id": job.job_id, **job_view(job), "model_id": (job.result or {}).get("model_id")} for job in found]
