"""What a worker does with its jobs: claim them, start their processes, watch them, and write down how they died.

A job that ends well or fails on its own says so itself (child.py). Here is decided what a silent end means.
"""

from __future__ import annotations

import logging
import shutil
import signal
import threading
import time
from enum import Enum, auto
from pathlib import Path

from tribrid.errors import Conflict, EvaluationFailed, Failed, JobNotFound, TrainingFailed, Unavailable
from tribrid.jobs.child import EXIT_TERMINATED
from tribrid.jobs.children import Child, Children
from tribrid.jobs.story import cancelled_problem, finish, give_back, kills, tell_killed, tell_start
from tribrid.store import Store
from tribrid.store.jobs import Claim
from tribrid.types import Job, JobKind, State

LOOK_S = 0.5
"""How often a running job's row is looked at: was its end asked for, is it still ours?"""
CANCEL_GRACE_S = 10.0
MAX_ATTEMPTS = 5
MAX_KILLS = 1
"""How often a job whose process was killed from outside is started anew."""
_SIGNALS = {int(number): number.name for number in signal.Signals}
# As the system does when memory runs out: the kernel by SIGKILL, a daemon by SIGTERM, at which a child says goodbye.
_KILLED = {-signal.SIGKILL: "SIGKILL", -signal.SIGTERM: "SIGTERM", EXIT_TERMINATED: "SIGTERM"}
_MORE_MEMORY = {
    True: "The system does this when memory runs out. Free some, or lower training.memory_budget_mb, take a smaller "
    "training.base_model, or set training.cross_encoder to false; then train again.",
    False: "The system does this when memory runs out. Free some, then run it again.",
}
_FAULTS: dict[JobKind, type[Failed]] = {JobKind.TRAIN: TrainingFailed, JobKind.EVALUATE: EvaluationFailed}

log = logging.getLogger(__name__)


class After(Enum):
    """What becomes of a job after the end of its child."""

    ENDED = auto()
    ELSEWHERE = auto()
    """Another worker has it, or will."""
    KILLED = auto()
    """It is to be started again."""


class Execution:
    """The jobs of one worker, each of another corpus and in a thread of its own."""

    def __init__(
        self, store: Store, children: Children, data_dir: Path, *, worker: str, lease_s: float, concurrency: int
    ) -> None:
        """Claims nothing yet.

        Args:
            worker: this worker's name, which no other that lives has.
            lease_s: how long the worker must be silent before another takes its jobs over.
            concurrency: how many jobs it runs at once.
        """
        self._store = store
        self._children = children
        self._runs = data_dir / "runs"
        self._worker = worker
        self._lease_s = lease_s
        self._free = threading.Semaphore(concurrency)

    def take(self) -> None:
        """Start what may run, as far as there is room. Cheap when there is nothing.

        Raises:
            Unavailable: the store cannot be reached.
        """
        while self._free.acquire(blocking=False):
            claim = None
            try:
                claim = self._claim()
                if claim is None:
                    return
                threading.Thread(target=self._run, args=(claim,), name="job", daemon=True).start()
            finally:
                if claim is None:
                    self._free.release()

    def stop(self) -> None:
        """Kill what runs and give it back; any worker starts it again."""
        for claim in self._children.stop():
            give_back(self._store, claim)

    def _claim(self) -> Claim | None:
        return self._store.jobs.claim(self._worker, self._lease_s)

    def _run(self, claim: Claim | None) -> None:
        """See to this job, then to whatever can be claimed."""
        try:
            while claim is not None:
                self._see_to(claim)
                claim = None if self._children.stopped else self._claim()
        except Exception:
            log.exception("cannot look for the next job; the worker looks again")
        finally:
            self._free.release()

    def _see_to(self, claim: Claim) -> None:
        """Return when the job has ended, or is not ours any more."""
        job_id = claim.job.job_id
        delay_s = 1.0
        release = False
        while True:
            try:
                if release:
                    self._store.jobs.release(job_id, claim.holder, attempts=claim.attempt)
                else:
                    self._run_one(claim)
            except (JobNotFound, Conflict):
                return  # deleted with its corpus; or another worker has it
            except Exception:
                # What fails here is the store (unreachable, full). Once it answers the job is given back, and started
                # again by whoever claims it; starts are limited by attempts.
                log.exception("job %s could not be seen to; next try in %.0f s", job_id, delay_s)
                time.sleep(delay_s)
                delay_s = min(delay_s * 2, 30.0)
                release = True
            else:
                return

    def _run_one(self, claim: Claim) -> None:
        if claim.job.cancel_requested:  # the worker that was asked died before it could
            self._cancelled(claim)
        elif claim.attempt > MAX_ATTEMPTS:
            self._failed(claim, _gave_up(claim.job))
        else:
            tell_start(self._store, claim)
            while (after := self._in_child(claim)) is After.KILLED:
                pass
            if after is After.ELSEWHERE:
                return
        # Hundreds of megabytes of a checkpoint that nobody will go on from, where it failed or was cancelled.
        shutil.rmtree(self._runs / claim.job.job_id, ignore_errors=True)

    def _cancelled(self, claim: Claim) -> None:
        job_id = claim.job.job_id
        finish(self._store, job_id, State.CANCELLED, problem=cancelled_problem(job_id), holder=claim.holder)

    def _failed(self, claim: Claim, problem: dict[str, object]) -> None:
        finish(self._store, claim.job.job_id, State.FAILED, problem=problem, holder=claim.holder)

    def _in_child(self, claim: Claim) -> After:
        """Run the job in a child to that child's end."""
        child = self._children.start(claim)
        if child is None:
            give_back(self._store, claim)
            return After.ELSEWHERE
        try:
            # stop() may have killed the child: then the job has not ended, and stop() gives it back.
            if not self._watch(claim, child) or self._children.stopped:
                return After.ELSEWHERE
            return self._conclude(claim, *child.last_words())
        finally:
            self._children.end(child)

    def _watch(self, claim: Claim, child: Child) -> bool:
        """Return when the child is dead, by itself or because the job was cancelled: True. False when the job is not
        ours any more.
        """
        renew_s = self._lease_s / 3
        renew_at = time.monotonic() + renew_s
        kill_at: float | None = None
        while not child.wait(min(LOOK_S, renew_s)):
            now = time.monotonic()
            job = self._look(claim, renew=now >= renew_at)
            if job is None:
                log.warning("job %s: another worker has taken it over", claim.job.job_id)
                return False
            renew_at = now + renew_s if now >= renew_at else renew_at
            if kill_at is None and job.cancel_requested:
                child.ask_to_stop()
                kill_at = now + CANCEL_GRACE_S
            elif kill_at is not None and now >= kill_at:
                child.kill()
        return True

    def _look(self, claim: Claim, *, renew: bool) -> Job | None:
        """The job as it stands; None if it is not ours any more."""
        jobs, job_id = self._store.jobs, claim.job.job_id
        try:
            return jobs.renew(job_id, claim.holder, self._lease_s) if renew else jobs.held(job_id, claim.holder)
        except Unavailable as error:
            # It may be back before the job needs it. If another worker takes the job meanwhile, ours cannot write.
            log.warning("job %s goes on without the store (%s)", job_id, error.code)
            return claim.job

    def _conclude(self, claim: Claim, returncode: int, stderr_tail: str) -> After:
        """Of a job whose process is dead: write down its end if it could not."""
        job = self._store.jobs.held(claim.job.job_id, claim.holder)
        if job is None or job.state.final:
            return After.ELSEWHERE if job is None else After.ENDED
        if job.cancel_requested:
            self._cancelled(claim)
            return After.ENDED
        log.warning("job %s: its process ended with %d", job.job_id, returncode)
        killed_by = _KILLED.get(returncode)
        if killed_by and kills(self._store, job.job_id) < MAX_KILLS:
            tell_killed(self._store, claim, killed_by)
            return After.KILLED
        self._failed(claim, _crash(job, returncode, stderr_tail))
        return After.ENDED


def _crash(job: Job, returncode: int, stderr_tail: str) -> dict[str, object]:
    facts: dict[str, object] = {"job_id": job.job_id, "exit_code": returncode, "stderr_tail": stderr_tail}
    what, hint = f"ended with exit code {returncode}", "See stderr_tail for its last words."
    if returncode < 0:
        facts["signal"] = _SIGNALS.get(-returncode, f"signal {-returncode}")
        what = f"was killed by {facts['signal']}"
    if returncode in _KILLED:
        what = f"was killed by {_KILLED[returncode]}, and so was the one that was started in its place"
        hint = _MORE_MEMORY[job.kind is JobKind.TRAIN]
    return _fault(job)(f"The process that ran this {job.kind} job {what}. {hint}", **facts).problem()


def _gave_up(job: Job) -> dict[str, object]:
    detail = (
        f"This {job.kind} job was started {MAX_ATTEMPTS} times, and each time the worker died with it. "
        "See worker.log in the data folder, then submit it again."
    )
    return _fault(job)(detail, job_id=job.job_id, attempts=MAX_ATTEMPTS).problem()


def _fault(job: Job) -> type[Failed]:
    return _FAULTS.get(job.kind, Failed)
