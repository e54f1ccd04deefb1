"""Submit and cancel: what the API, the command line and the library call. Neither waits for the work."""

from __future__ import annotations

from collections.abc import Mapping

from tribrid.jobs.story import QUEUED, cancelled_problem, told_end
from tribrid.store import Store
from tribrid.types import Job, JobKind, State


def submit(store: Store, kind: JobKind, corpus_id: str, params: Mapping[str, object]) -> Job:
    """Queue a job behind all that its corpus already has. It runs when a worker does, whatever dies until then.

    The row is all that is written, and the row is the queue: an idle worker finds it within 0.1 s.

    Raises:
        CorpusNotFound: there is no such corpus.
    """
    return store.jobs.create(kind, corpus_id, params, told=QUEUED)


def cancel(store: Store, job_id: str) -> Job:
    """Ask for the job's end. One that waits is cancelled when this returns; one that runs, within about 10 seconds.

    Raises:
        JobNotFound: there is no such job.
        NotRunning: it has ended.
    """
    problem = cancelled_problem(job_id)
    return store.jobs.request_cancel(job_id, problem, told=told_end(State.CANCELLED, None, problem))
