"""How a job's story is told: its events, and how its end is written so that a crash cannot leave half of it.

The end is two writes, the final event (`complete` or `error`) and the row. The event goes first and holds everything
the row will: whoever finds a final event without a finished row (a crash fell between the two) writes the row from it.
So a job's work is never repeated after its end was told, and the final event is always the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tribrid.errors import Cancelled
from tribrid.store import Store
from tribrid.types import Event, State

FINAL_EVENTS = ("complete", "error")
_PAGE = 1000


def finish(
    store: Store,
    job_id: str,
    state: State,
    *,
    result: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
) -> None:
    """End the job: `state` is final, with a `result` if it succeeded, else with a `problem`.

    Raises:
        JobNotFound: it was deleted, with its corpus.
    """
    store.events.append(job_id, "state", {"state": state})
    if state is State.SUCCEEDED:
        store.events.append(job_id, "complete", {"state": state, "result": result})
    else:
        store.events.append(job_id, "error", {"state": state, "problem": problem})
    store.jobs.finish(job_id, state, result=result, problem=problem)


def settle(store: Store, job_id: str) -> bool:
    """Whether the job has ended; writes its row if only the final event was written.

    Raises:
        JobNotFound: it was deleted, with its corpus.
    """
    if store.jobs.get(job_id).state.final:
        return True
    for event in all_events(store, job_id):
        if event.type in FINAL_EVENTS:
            data = event.data
            store.jobs.finish(job_id, State(data["state"]), result=data.get("result"), problem=data.get("problem"))
            return True
    return False


def cancelled_problem(job_id: str) -> dict[str, Any]:
    """The problem of a job that ended because somebody asked for it."""
    return Cancelled("The job was cancelled on request. Submit it again to run it.", job_id=job_id).problem()


def told_start(store: Store, job_id: str, attempt: int) -> None:
    """A worker is about to run the job, for the `attempt`-th time (from 1)."""
    store.events.append(job_id, "state", {"state": State.RUNNING, "attempt": attempt})


def told_interruption(store: Store, job_id: str) -> None:
    """The worker stops in good order with this job in hand; the next one takes it up."""
    store.events.append(job_id, "state", {"state": State.RUNNING, "interrupted": True})


def attempts(store: Store, job_id: str) -> int:
    """How often in a row the job was started and nothing was heard of it again."""
    count = 0
    for event in all_events(store, job_id):
        if event.type == "state" and "attempt" in event.data:
            count += 1
        elif event.type == "state" and "interrupted" in event.data:
            count = 0
    return count


def all_events(store: Store, job_id: str) -> Iterator[Event]:
    """The job's story from the start, however long."""
    after = 0
    while page := store.events.read(job_id, after_seq=after, limit=_PAGE):
        yield from page
        after = page[-1].seq
