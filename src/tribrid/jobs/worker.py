"""The one process per data folder that runs jobs: `python -m tribrid.jobs.worker`, kept alive by a supervisor.

It claims jobs from the store, which it may share with the workers of other folders and machines. The work itself is
done in child processes (execution.py), so the worker stays small. It may be killed at any moment.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from uuid import uuid4

from tribrid.config import Environment, read_environment
from tribrid.jobs.child import DEFAULT_HANDLERS
from tribrid.jobs.children import Children
from tribrid.jobs.execution import Execution
from tribrid.jobs.processes import EXIT_LOCKED, StopSignal, WorkerLock, follow_parent
from tribrid.jobs.pruning import Pruner
from tribrid.jobs.scheduling import Scheduler
from tribrid.observing import log_to_stderr
from tribrid.store import Store

# Half of it is in every job's delay. A look costs a quarter of a millisecond.
LOOK_S = 0.1
# A worker renews its leases at a third of it. Longer than a database takes to fail over to its standby.
LEASE_S = 30.0
# A predecessor that was told to stop is gone in well under a second.
LOCK_TIMEOUT_S = 10.0
CONCURRENCY = 2

log = logging.getLogger("tribrid.jobs.worker")  # __name__ is __main__ here


def worker_name(data_dir: Path) -> str:
    """The name of the folder's worker, made once: a successor knows by it what its predecessor had in hand."""
    path = data_dir / "worker.id"
    name = path.read_text().strip() if path.exists() else ""
    if not name:  # the caller holds the folder's lock
        name = f"{socket.gethostname()}-{uuid4().hex[:12]}"
        path.write_text(f"{name}\n")
    return name


def serve(execution: Execution, children: Children, pruner: Pruner, scheduler: Scheduler, stopping: StopSignal) -> None:
    """Take jobs, queue what is scheduled, keep a spare child ready and the log short, until told to stop."""
    delay_s = 0.0
    while not stopping.wait(delay_s):
        try:
            scheduler.tick()
            execution.take()
            children.warm()
            pruner.tick()
            delay_s = LOOK_S
        except Exception:
            # The database may be away for a while; jobs in hand go on, and what was submitted is still there.
            delay_s = min(max(delay_s, LOOK_S) * 2, 10.0)
            log.exception("cannot look for new jobs; next look in %.1f s", delay_s)


def work(args: argparse.Namespace, environment: Environment, stopping: StopSignal) -> None:
    """Run jobs until told to stop. The caller holds the data folder's lock, and ends the process afterwards."""
    children = Children(args.data_dir, args.handlers)
    children.warm()
    store = Store.open(args.data_dir, environment.database_url)
    name = worker_name(args.data_dir)
    # Whoever bore the folder's name is dead, since the lock is ours: what it had in hand need not wait for the leases.
    store.jobs.vacate(name)
    execution = Execution(
        store, children, args.data_dir, worker=name, lease_s=args.lease_s, concurrency=args.concurrency
    )
    log.info("worker %d (%s) is ready", os.getpid(), name)
    serve(execution, children, Pruner(store, environment), Scheduler(store, environment), stopping)
    execution.stop()


def main(argv: list[str] | None = None) -> int:
    """Run the worker. Exit code 0: it was told to stop; 75: the data folder has a worker already."""
    environment = read_environment()
    parser = argparse.ArgumentParser(prog="python -m tribrid.jobs.worker", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=environment.data_dir)
    parser.add_argument("--handlers", default=DEFAULT_HANDLERS, help="module:NAME of the map from job kind to handler")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help="jobs at once, each of another corpus")
    parser.add_argument("--lease-s", type=float, default=LEASE_S, help="silence after which others take its jobs over")
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
    # A thread may still wait for the store, for half a minute. All state survives a kill -9, so the process ends like
    # by one.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
