"""The one process per data folder that runs jobs: `python -m tribrid.jobs.worker`, kept alive by a supervisor.

It finds the jobs that were submitted, hands them to DBOS, and gets them back from it in order, after a crash as well.
The work itself is done in child processes (execution.py), so the worker stays small. It may be killed at any moment.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

from tribrid.config import Environment, read_environment
from tribrid.jobs.child import DEFAULT_HANDLERS
from tribrid.jobs.children import Children
from tribrid.jobs.execution import Execution
from tribrid.jobs.processes import EXIT_LOCKED, StopSignal, WorkerLock, follow_parent
from tribrid.jobs.pruning import Pruner
from tribrid.observing import log_to_stderr
from tribrid.store import Store
from tribrid.types import Job, State

SWEEP_S = 0.1
SWEEP_LIMIT = 10_000
# A predecessor that was told to stop is gone in well under a second.
LOCK_TIMEOUT_S = 10.0
CONCURRENCY = 2

log = logging.getLogger("tribrid.jobs.worker")  # __name__ is __main__ here


def executor_id(data_dir: Path, database_url: str | None) -> str:
    """The name under which DBOS remembers what this worker has in hand; its successor must have the same.

    Where the queue is a file of the data folder, that is its only worker. On a shared PostgreSQL each data folder has a
    name of its own, made once: a worker that came up under another's name would take that one's running jobs.
    """
    if database_url is None or database_url.startswith("sqlite"):
        return "local"
    path = data_dir / "worker.id"
    if not path.exists():  # the caller holds the folder's lock
        path.write_text(f"{socket.gethostname()}-{uuid4().hex[:12]}\n")
    return path.read_text().strip()


class Sweeper:
    """Finds open jobs that DBOS has not heard of: those just submitted; at the start, all that a crash left behind."""

    def __init__(self, store: Store, put: Callable[[Iterable[Job]], None]) -> None:
        self._store, self._put = store, put
        self._known: set[str] = set()

    def sweep(self) -> None:
        """Queue what is new, oldest first.

        Raises:
            Unavailable: the store cannot be reached.
        """
        open_jobs = self._store.jobs.list(None, None, (State.QUEUED, State.RUNNING), SWEEP_LIMIT)
        self._put(job for job in reversed(open_jobs) if job.job_id not in self._known)
        self._known = {job.job_id for job in open_jobs}


def serve(sweeper: Sweeper, children: Children, pruner: Pruner, stopping: StopSignal) -> None:
    """Sweep, keep a spare child ready and the log short, until told to stop."""
    delay_s = SWEEP_S
    while not stopping.wait(delay_s):
        try:
            sweeper.sweep()
            children.warm()
            pruner.tick()
            delay_s = SWEEP_S
        except Exception:
            # Either database may be away for a while; jobs in hand go on, and what was submitted is still there.
            delay_s = min(delay_s * 2, 10.0)
            log.exception("cannot look for new jobs; next look in %.1f s", delay_s)


def work(args: argparse.Namespace, environment: Environment, stopping: StopSignal) -> None:
    """Run jobs until told to stop. The caller holds the data folder's lock, and ends the process afterwards."""
    children = Children(args.data_dir, args.handlers)
    children.warm()
    # Importing DBOS takes half a second, in which the first child gets ready.
    from tribrid.jobs.durable import DurableQueue, put_damaged_aside, system_url

    database_url = environment.database_url
    store = Store.open(args.data_dir, database_url)
    execution = Execution(store, children, args.data_dir)
    if aside := put_damaged_aside(args.data_dir):
        log.error("jobs.db was damaged. It is %s now, and is made again from the open jobs.", aside.name)
    queue = DurableQueue(system_url(args.data_dir, database_url))
    sweeper = Sweeper(store, queue.put)
    sweeper.sweep()
    name = args.executor_id or executor_id(args.data_dir, database_url)
    queue.launch(execution.run, executor_id=name, concurrency=args.concurrency)
    log.info("worker %d (%s) is ready", os.getpid(), name)
    serve(sweeper, children, Pruner(store, environment), stopping)
    execution.stop()


def main(argv: list[str] | None = None) -> int:
    """Run the worker. Exit code 0: it was told to stop; 75: the data folder has a worker already."""
    environment = read_environment()
    parser = argparse.ArgumentParser(prog="python -m tribrid.jobs.worker", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=environment.data_dir)
    parser.add_argument("--handlers", default=DEFAULT_HANDLERS, help="module:NAME of the map from job kind to handler")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help="jobs at once, each of another corpus")
    parser.add_argument("--executor-id", help="this worker's name in DBOS; must differ between living workers")
    parser.add_argument("--parent-pid", type=int, help="stop when this process, which must be the parent, dies")
    args = parser.parse_args(argv)
    args.data_dir = args.data_dir.resolve()
    log_to_stderr(environment.log_format, environment.log_level)
    stopping = StopSignal()
    if args.parent_pid is not None:
        follow_parent(args.parent_pid, signal.SIGTERM)
    lock = WorkerLock(args.data_dir)
    if not lock.acquire(LOCK_TIMEOUT_S, stopping):
        log.info("process %s is the worker of %s: this one is not needed", lock.holder(), args.data_dir)
        return EXIT_LOCKED
    work(args, environment, stopping)
    # Threads of DBOS sit in jobs that have not ended, and must not be told that they have. All state survives a
    # kill -9, so the process ends like by one.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
