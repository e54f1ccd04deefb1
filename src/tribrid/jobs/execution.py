"""What the worker does with a job: start its process, watch it, cancel it, and write down how it died if it did.

A job that ends well or fails on its own says so itself (child.py). Here is decided what a silent end means.
"""

from __future__ import annotations

import logging
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tribrid.errors import EvaluationFailed, Failed, JobNotFound, TrainingFailed
from tribrid.jobs.children import Child, Children
from tribrid.jobs.story import attempts, cancelled_problem, finish, settle, told_interruption, told_start
from tribrid.store import Store
from tribrid.types import Job, JobKind, State

CANCEL_POLL_S = 0.5
CANCEL_GRACE_S = 10.0
MAX_ATTEMPTS = 5
_OPEN_JOBS = 10_000
_SIGNALS = {int(number): number.name for number in signal.Signals}
_FAULTS: dict[JobKind, type[Failed]] = {JobKind.TRAIN: TrainingFailed, JobKind.EVALUATE: EvaluationFailed}

log = logging.getLogger(__name__)


class Execution:
    """Runs the jobs of one worker. `run` is called from several threads, each with a job of another corpus."""

    def __init__(self, store: Store, children: Children, data_dir: Path) -> None:
        self._store = store
        self._children = children
        self._runs = data_dir / "runs"

    def run(self, job_id: str) -> None:
        """Return when the job has ended, and every older one of its corpus before it.

        The queue's order is that of its own clock. That older rows go first even so makes the order of submission a
        fact, also for a row whose submitter died before it was queued.
        """
        delay_s = 1.0
        while True:
            try:
                for older in self._until(job_id):
                    self._run_one(older)
            except JobNotFound:
                return  # deleted with its corpus
            except Exception:
                # To return now would strand the job, since its workflow would count as done. What fails here is the
                # store (unreachable, full): it is tried again until it answers, and starts are limited by attempts.
                log.exception("job %s could not be seen to; next try in %.0f s", job_id, delay_s)
                time.sleep(delay_s)
                delay_s = min(delay_s * 2, 30.0)
            else:
                return

    def stop(self) -> None:
        """Kill what runs; the next worker starts it again. After this no `run` returns: the process is about to end."""
        for job_id in self._children.stop():
            with suppress(JobNotFound):
                if not settle(self._store, job_id):
                    told_interruption(self._store, job_id)

    def _until(self, job_id: str) -> list[str]:
        job = self._store.jobs.get(job_id)
        if job.state.final:
            return []
        listed = self._store.jobs.list(job.corpus_id, None, (State.QUEUED, State.RUNNING), _OPEN_JOBS)
        ids = [row.job_id for row in reversed(listed)]  # listed newest first
        return ids[: ids.index(job_id) + 1] if job_id in ids else [job_id]

    def _run_one(self, job_id: str) -> None:
        store = self._store
        # A start is refused to a job that was cancelled while it waited.
        if settle(store, job_id) or not store.jobs.start(job_id):
            return
        job = store.jobs.get(job_id)
        attempt = attempts(store, job_id) + 1
        if job.cancel_requested:  # the worker that was asked died before it could
            finish(store, job_id, State.CANCELLED, problem=cancelled_problem(job_id))
        elif attempt > MAX_ATTEMPTS:
            finish(store, job_id, State.FAILED, problem=_gave_up(job))
        else:
            told_start(store, job_id, attempt)
            self._in_child(job)
        # Hundreds of megabytes of a checkpoint that nobody will go on from, where it failed or was cancelled.
        shutil.rmtree(self._runs / job_id, ignore_errors=True)

    def _in_child(self, job: Job) -> None:
        child = self._children.start(job.job_id)
        if child is not None:
            try:
                self._watch(job.job_id, child)
            finally:
                self._children.end(job.job_id)
        # stop() may have killed the child: then the job has not ended, and DBOS must not hear that it has.
        while self._children.stopped:
            time.sleep(60)
        if child is not None:
            self._conclude(job, *child.last_words())

    def _watch(self, job_id: str, child: Child) -> None:
        """Return when the child is dead, by itself or because the job was cancelled."""
        kill_at: float | None = None
        while not child.wait(CANCEL_POLL_S):
            if kill_at is None and self._store.jobs.get(job_id).cancel_requested:
                child.ask_to_stop()
                kill_at = time.monotonic() + CANCEL_GRACE_S
            elif kill_at is not None and time.monotonic() >= kill_at:
                child.kill()

    def _conclude(self, job: Job, returncode: int, stderr_tail: str) -> None:
        store = self._store
        if settle(store, job.job_id):
            return
        if store.jobs.get(job.job_id).cancel_requested:
            finish(store, job.job_id, State.CANCELLED, problem=cancelled_problem(job.job_id))
        else:
            log.warning("job %s: its process ended with %d", job.job_id, returncode)
            finish(store, job.job_id, State.FAILED, problem=_crash(job, returncode, stderr_tail))


def _crash(job: Job, returncode: int, stderr_tail: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"job_id": job.job_id, "exit_code": returncode, "stderr_tail": stderr_tail}
    what = f"ended with exit code {returncode}"
    if returncode < 0:
        facts["signal"] = _SIGNALS.get(-returncode, f"signal {-returncode}")
        what = f"was killed by {facts['signal']}"
    hint = "See stderr_tail for its last words."
    if returncode == -signal.SIGKILL:
        hint = "The system does this when memory runs out: try a smaller batch_size or base_model, then run it again."
    return _fault(job)(f"The process that ran this {job.kind} job {what}. {hint}", **facts).problem()


def _gave_up(job: Job) -> dict[str, Any]:
    detail = (
        f"This {job.kind} job was started {MAX_ATTEMPTS} times, and each time the worker died with it. "
        "See worker.log in the data folder, then submit it again."
    )
    return _fault(job)(detail, job_id=job.job_id, attempts=MAX_ATTEMPTS).problem()


def _fault(job: Job) -> type[Failed]:
    return _FAULTS.get(job.kind, Failed)
