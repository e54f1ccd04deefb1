"""Submit and cancel: what the API, the command line and the library call. Neither waits for the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribrid.jobs.story import cancelled_problem
from tribrid.store import Store
from tribrid.types import Job, JobKind, State


def submit(store: Store, kind: JobKind, corpus_id: str, params: Mapping[str, Any]) -> Job:
    """Queue a job behind all that its corpus already has. It runs when a worker does, whatever dies until then.

    The row is all that is written: the worker finds it within 0.1 s and hands it to DBOS. Two databases cannot be
    written in one transaction, so the row is the order and the durable queue follows it, never the other way round.

    Raises:
        CorpusNotFound: there is no such corpus.
    """
    job = store.jobs.create(kind, corpus_id, params)
    store.events.append(job.job_id, "state", {"state": State.QUEUED})
    return job


def cancel(store: Store, job_id: str) -> Job:
    """Ask for the job's end. One that waits is cancelled when this returns; one that runs, within about 10 seconds.

    Raises:
        JobNotFound: there is no such job.
        NotRunning: it has ended.
    """
    problem = cancelled_problem(job_id)
    job = store.jobs.request_cancel(job_id, problem)
    if job.state is State.CANCELLED:
        # No worker will touch it again, so its last event is told here.
        store.events.append(job_id, "state", {"state": State.CANCELLED})
        store.events.append(job_id, "error", {"state": State.CANCELLED, "problem": problem})
    return job
