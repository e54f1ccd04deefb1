"""One job in a process of its own: `python -m tribrid.jobs.child`, started by the worker, which names it on stdin.

Looks the job's kind up in the handler map, runs it, writes down how it ended. Memory comes back when it exits, and a
crash takes nothing else along. What it cannot write down itself (it was killed) the worker does (execution.py).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tribrid.config import read_environment
from tribrid.errors import Cancelled, Conflict, InvalidInput, TribridError
from tribrid.jobs.processes import follow_parent
from tribrid.jobs.story import FINAL_EVENTS, cancelled_problem, finish
from tribrid.store import Store
from tribrid.types import Emit, EventType, Job, JobKind, State

DEFAULT_HANDLERS = "tribrid.loop.handlers:HANDLERS"
PROGRESS_INTERVAL_S = 0.5
# A handler that asks `cancelled()` ends in good order within this time; another is interrupted where it stands.
CANCEL_GRACE_S = 3.0
EXIT_TERMINATED = 128 + signal.SIGTERM

Handler = Callable[[Job, Path, Emit, Callable[[], bool]], Mapping[str, object]]
"""`handler(job, data_dir, emit, cancelled)` does the job and returns its result, JSON-shaped. When `cancelled()` turns
true it should raise Cancelled soon."""


class Reporter:
    """The `emit` that a handler gets. Progress is a gauge: two values a second are stored at most, the last always."""

    def __init__(self, store: Store, job_id: str, holder: str | None = None) -> None:
        self._store, self._job_id, self._holder = store, job_id, holder
        self._lock = threading.RLock()
        self._next_at = 0.0
        self._held: Mapping[str, object] | None = None
        self._timer: threading.Timer | None = None
        self._closed = False

    def emit(self, type_: EventType, data: Mapping[str, object]) -> None:
        """Store an event, from any thread.

        Raises:
            InvalidInput: the type is one that says the job has ended.
            Conflict: another worker has taken the job over.
        """
        if type_ in FINAL_EVENTS:
            raise InvalidInput(f"{type_!r} is told when a job has ended, by who runs it.", type=type_)
        with self._lock:
            if self._closed:
                return  # a thread that the job left behind; after the end nothing is told
            if type_ != "progress":
                self._store.events.append(self._job_id, type_, data, holder=self._holder)
                return
            self._held = data
            wait_s = self._next_at - time.monotonic()
            if wait_s <= 0:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(wait_s, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Store the progress that is held back, if any."""
        with self._lock:
            self._timer, data, self._held = None, self._held, None
            self._next_at = time.monotonic() + PROGRESS_INTERVAL_S
            if data is not None:
                self._store.events.append(self._job_id, "progress", data, holder=self._holder)
                self._store.jobs.progress(self._job_id, data, holder=self._holder)

    def close(self) -> None:
        """Store what is held back, and nothing more: the end comes next."""
        with self._lock:
            self.flush()
            self._closed = True


class Cancellation:
    """SIGTERM as a question: first `requested()` turns true, then, if nobody cared, Cancelled is raised."""

    def __init__(self) -> None:
        self._requested = False

    def requested(self) -> bool:
        return self._requested

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGALRM, self._on_alarm)
        # What the job forks (data loaders) dies of SIGTERM as usual.
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))

    def disarm(self) -> None:
        """The handler is done: from here on the end is written, and not interrupted."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _on_term(self, _signum: int, _frame: FrameType | None) -> None:
        self._requested = True
        signal.setitimer(signal.ITIMER_REAL, CANCEL_GRACE_S)

    def _on_alarm(self, _signum: int, _frame: FrameType | None) -> None:
        raise Cancelled("Interrupted on request.")


def find_handler(spec: str, kind: JobKind) -> Handler:
    """The handler of this kind in the map that `module:NAME` points to."""
    module, _, name = spec.partition(":")
    handlers: Mapping[JobKind, Handler] = getattr(importlib.import_module(module), name)
    return handlers[kind]


def run(job: Job, holder: str, store: Store, data_dir: Path, handlers: str) -> int:
    """Run the job and write down its end; the exit code."""
    reporter, cancellation = Reporter(store, job.job_id, holder), Cancellation()
    cancellation.install()
    result: Mapping[str, object] | None = None
    problem: Mapping[str, object] | None = None
    cancelled = False
    try:
        try:
            handler = find_handler(handlers, job.kind)
            result = handler(job, data_dir, reporter.emit, cancellation.requested)
            json.dumps(result, allow_nan=False, default=dict)  # a result that cannot be stored is the handler's fault
        finally:
            cancellation.disarm()
    except Cancelled:
        cancelled = True
    except TribridError as error:
        cancelled, problem = cancellation.requested(), error.problem()
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever a job throws becomes its problem
        # A library that is interrupted may raise an error of its own (half an import, a native call): the cause is
        # still the request to end.
        cancelled = cancellation.requested()
        problem = None if cancelled else _unexpected(error, reporter.emit)
    try:
        return _write_end(store, job.job_id, holder, reporter, cancelled=cancelled, result=result, problem=problem)
    except Conflict:
        return EXIT_TERMINATED  # another worker has taken the job over: this end is not told


def _write_end(
    store: Store,
    job_id: str,
    holder: str,
    reporter: Reporter,
    *,
    cancelled: bool,
    result: Mapping[str, object] | None,
    problem: Mapping[str, object] | None,
) -> int:
    if problem is None and not cancelled:
        reporter.emit("log", {"level": "debug", "message": "done", "peak_memory_bytes": _peak_memory_bytes()})
    reporter.close()
    if cancelled:
        # A whole machine going down sends SIGTERM as well: only the row knows whether a user wants this job's end.
        if not store.jobs.get(job_id).cancel_requested:
            return EXIT_TERMINATED
        finish(store, job_id, State.CANCELLED, problem=cancelled_problem(job_id), holder=holder)
        return EXIT_TERMINATED
    if problem is not None:
        finish(store, job_id, State.FAILED, problem=problem, holder=holder)
        return 1
    finish(store, job_id, State.SUCCEEDED, result=result, holder=holder)
    return 0


def _unexpected(error: Exception, emit: Emit) -> dict[str, object]:
    """An error nobody foresaw: short words for the user, the traceback for the log."""
    detail = f"{type(error).__name__}: {str(error)[:500]}"
    emit("log", {"level": "error", "message": detail, "traceback": traceback.format_exc()[-16_000:]})
    return TribridError(f"Unexpected: {detail}. The job's log has the traceback.").problem()


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(argv: list[str] | None = None) -> int:
    """Run one job. Exit code 0: it succeeded; 1: it failed and said so; else the worker has to say it."""
    parser = argparse.ArgumentParser(prog="python -m tribrid.jobs.child", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--handlers", default=DEFAULT_HANDLERS)
    parser.add_argument("--parent-pid", type=int, default=os.getppid())
    args = parser.parse_args(argv)
    follow_parent(args.parent_pid, signal.SIGKILL)
    job_id, _, holder = sys.stdin.readline().strip().partition(" ")
    if not job_id:
        return 0  # the worker ended before it had a job for us
    store = Store.open(args.data_dir, read_environment().database_url)
    return run(store.jobs.get(job_id), holder, store, args.data_dir, args.handlers)


def _leave() -> NoReturn:
    """Run main, and end the process without waiting for what the job left running: threads, atexit, torch's teardown.

    All that matters is stored by now, and the corpus's next job waits for this process to be gone.
    """
    code: object = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what the interpreter does with it: the worker reads our stderr
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _leave()
