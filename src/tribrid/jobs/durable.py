"""The only file that knows DBOS, and the worker the only process that loads it.

DBOS keeps one row per workflow, and a workflow here is "see to it that job X has ended". Its row says which worker has
it, so that no other takes it, and that after a crash that worker's successor takes it up again. Nothing of the job
itself is stored there: the tables can be deleted while no worker runs, and are made again from the jobs that are open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

from tribrid.store.database import is_damaged
from tribrid.types import Job

APPLICATION = "tribrid"
QUEUE = "jobs"
WORKFLOW = "run_job"
# DBOS hands a workflow only to the version of the code that queued it. A job must outlive an upgrade: never change it.
VERSION = "1"
# How often an idle worker asks DBOS for work, seconds. Half of it is in every job's delay; a look costs 4 ms of CPU.
POLL_S = 0.2


def system_url(data_dir: Path, database_url: str | None) -> str:
    """Where DBOS keeps its tables: `jobs.db` beside the data, or the schema `dbos` of the PostgreSQL with the rest."""
    if database_url is None or database_url.startswith("sqlite"):
        return f"sqlite:///{data_dir / 'jobs.db'}"
    return database_url


def put_damaged_aside(data_dir: Path) -> Path | None:
    """Move a `jobs.db` that is no database any more out of the way: it is made again from the open jobs of the store.

    Returns:
        Where it is now; None if there is nothing wrong with it.
    """
    path = data_dir / "jobs.db"
    if not is_damaged(path):
        return None
    aside = path.with_name(f"jobs.damaged-{time.time_ns()}.db")
    path.rename(aside)
    for leftover in ("jobs.db-wal", "jobs.db-shm"):
        (data_dir / leftover).unlink(missing_ok=True)
    return aside


class DurableQueue:
    """One worker's hold on the queue: first in, first out in each corpus, one at a time there across all workers."""

    def __init__(self, url: str) -> None:
        """Makes or upgrades DBOS's tables. Safe when several workers start at once."""
        DBOS.migrate(url)
        self._url = url
        # JSON, not DBOS's default pickle: nothing that is read back can run code.
        self._serializer = DBOSPortableJSONSerializer()
        self._client = DBOSClient(system_database_url=url, serializer=self._serializer, application_name=APPLICATION)

    def put(self, jobs: Iterable[Job]) -> None:
        """Queue these jobs in this order. One that was queued before stays as it is."""
        for job in jobs:
            self._client.enqueue(
                {
                    "queue_name": QUEUE,
                    "workflow_name": WORKFLOW,
                    "workflow_id": job.job_id,
                    "queue_partition_key": job.corpus_id,
                    "app_version": VERSION,
                },
                job.job_id,
            )

    def launch(self, run: Callable[[str], None], *, executor_id: str, concurrency: int) -> None:
        """Take up what a predecessor of the same `executor_id` left unfinished, then what is queued, in threads.

        Args:
            run: gets a job's id; must return only when the job has ended; may be called again for the same job.
            executor_id: two workers that live at the same time must never share one.
            concurrency: how many jobs this worker runs at once, each of another corpus.
        """
        # Declared before the launch: a queue that is new to a launched process is noticed a second later.
        self._client.register_queue(
            QUEUE, partition_concurrency=1, worker_concurrency=concurrency, polling_interval_sec=POLL_S
        )
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._url,
                "application_version": VERSION,
                "executor_id": executor_id,
                "serializer": self._serializer,
                "log_level": "WARNING",
            }
        )

        # Attempts are counted per job (execution.py), not per workflow, which DBOS would give up after a hundred
        # restarts of the worker even if the job was never at fault.
        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        def run_job(job_id: str) -> None:
            run(job_id)

        DBOS.launch()
