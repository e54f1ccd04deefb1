"""How a job's story is told: the events of its start, an interruption and its end.

Each is written in one transaction with the row it tells of, so a crash leaves neither half: an event that says a job
has ended stands beside a row that has, and is always the last.
"""

from __future__ import annotations

from collections.abc import Mapping

from tribrid.errors import Cancelled
from tribrid.store import Store
from tribrid.store.jobs import Claim
from tribrid.types import EventType, JobKind, State

FINAL_EVENTS = ("complete", "error")
QUEUED: list[tuple[EventType, Mapping[str, object]]] = [("state", {"state": State.QUEUED})]


def told_end(
    state: State, result: Mapping[str, object] | None, problem: Mapping[str, object] | None
) -> list[tuple[EventType, Mapping[str, object]]]:
    """The last events: with the `result` of a job that succeeded, else with a `problem`."""
    if state is State.SUCCEEDED:
        return [("state", {"state": state}), ("complete", {"state": state, "result": result})]
    return [("state", {"state": state}), ("error", {"state": state, "problem": problem})]


def finish(
    store: Store,
    job_id: str,
    state: State,
    *,
    result: Mapping[str, object] | None = None,
    problem: Mapping[str, object] | None = None,
    holder: str | None = None,
) -> None:
    """End the job: `state` is final. Nothing happens if it has ended, or is not in these hands any more.

    Raises:
        JobNotFound: it was deleted, with its corpus.
    """
    told = told_end(state, result, problem)
    store.jobs.finish(job_id, state, result=result, problem=problem, told=told, holder=holder)


def cancelled_problem(job_id: str) -> dict[str, object]:
    """The problem of a job that ended because somebody asked for it."""
    return Cancelled("The job was cancelled on request. Submit it again to run it.", job_id=job_id).problem()


def tell_start(store: Store, claim: Claim) -> None:
    """Its worker is about to run the job."""
    started = {"state": State.RUNNING, "attempt": claim.attempt}
    store.events.append(claim.job.job_id, "state", started, holder=claim.holder)


def tell_killed(store: Store, claim: Claim, signal_name: str) -> None:
    """Something killed the process that ran the job; its worker starts another."""
    message = (
        f"Its process was killed ({signal_name}), as the system does when memory runs out. It is started once more"
        f"{', from its last checkpoint and with a smaller batch' if claim.job.kind is JobKind.TRAIN else ''}."
    )
    told = {"state": State.RUNNING, "killed": signal_name, "message": message}
    store.events.append(claim.job.job_id, "state", told, holder=claim.holder)


def kills(store: Store, job_id: str) -> int:
    """How often the job's process was killed, and another started."""
    return sum("killed" in data for data in store.events.told(job_id, "state"))


def give_back(store: Store, claim: Claim) -> None:
    """The worker stops in good order with this job in hand; the next one takes it up."""
    told: list[tuple[EventType, Mapping[str, object]]] = [("state", {"state": State.RUNNING, "interrupted": True})]
    store.jobs.release(claim.job.job_id, claim.holder, attempts=0, told=told)
