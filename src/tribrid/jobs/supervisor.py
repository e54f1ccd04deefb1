"""Keeps a worker alive for as long as somebody needs one: `tribrid serve`, a command that waits, a library's user.

Any number of supervisors may watch one data folder: the lock decides whose worker it is, and when that one goes, the
next one takes over.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tribrid.jobs.processes import EXIT_LOCKED, WorkerLock
from tribrid.private import UMASK, opener, own_folder

POLL_S = 0.1
STOP_TIMEOUT_S = 10.0
MIN_BACKOFF_S = 0.1
MAX_BACKOFF_S = 30.0
# A worker that lived this long was not broken from the start: its successor starts without delay.
HEALTHY_AFTER_S = 30.0
LOG_LIMIT_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """Whether jobs are being run. `detail` says why not, in the words of worker.log; empty while all is well."""

    pid: int | None
    restarts: int
    detail: str = ""
    ours: bool = False
    """It is this process's own, and ends with it."""

    @property
    def alive(self) -> bool:
        return self.pid is not None


class Supervisor:
    """Starts the worker of a data folder if it has none, and starts it again when it dies."""

    def __init__(
        self,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        *,
        handlers: str | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            env: the worker's whole environment; None for this process's own.
            handlers: `module:NAME` of the map from job kind to handler, instead of the pipeline's.
            concurrency: jobs at once, each of another corpus; None for the worker's default.
        """
        self._data_dir = data_dir.resolve()
        self._env = env
        self._options: list[str] = []
        if handlers is not None:
            self._options += ["--handlers", handlers]
        if concurrency is not None:
            self._options += ["--concurrency", str(concurrency)]
        self._lock = WorkerLock(self._data_dir)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._restarts = 0
        self._detail = ""
        self._worker_pid: int | None = None
        self._elsewhere = False

    def leave_to_others(self) -> None:
        """Start none from now on: workers of other machines that share the database run the jobs."""
        self._elsewhere = True

    def ensure_worker(self) -> None:
        """See to it that the folder has a worker from now on. Returns at once; jobs can be submitted meanwhile."""
        if self._thread is None and not self._elsewhere:
            if not self._data_dir.exists():
                own_folder(self._data_dir)
            self._stopping.clear()
            # The worker dies with the thread that started it (processes.py), so one thread lives as long as we do.
            self._thread = threading.Thread(target=self._keep_alive, name="worker-supervisor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop our worker, if the folder's worker is ours. What it had in hand goes on under the next one."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def health(self) -> WorkerHealth:
        pid = self._lock.holder()
        return WorkerHealth(pid, self._restarts, self._detail, ours=pid is not None and pid == self._worker_pid)

    def _keep_alive(self) -> None:
        backoff_s = MIN_BACKOFF_S
        while not self._stopping.is_set():
            if self._lock.holder() is not None:
                self._stopping.wait(POLL_S)
                continue
            started = time.monotonic()
            code = self._run_worker()
            if code == EXIT_LOCKED or self._stopping.is_set():
                continue
            self._restarts += 1
            self._detail = f"The worker ended with code {code}. worker.log ends: {self._log_tail()}"
            if time.monotonic() - started > HEALTHY_AFTER_S:
                backoff_s = MIN_BACKOFF_S
            self._stopping.wait(backoff_s)
            backoff_s = min(backoff_s * 3, MAX_BACKOFF_S)

    def _run_worker(self) -> int:
        """Start a worker and see it to its end, which we bring about when we are stopped."""
        # -P: a file `types.py` in the user's current folder is not the standard library's.
        command = [sys.executable, "-P", "-m", "tribrid.jobs.worker", "--data-dir", str(self._data_dir)]
        command += ["--parent-pid", str(os.getpid()), *self._options]
        with self._open_log() as log:
            worker = subprocess.Popen(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                umask=UMASK,  # of its children too; all that they write is state
            )
        self._worker_pid = worker.pid
        while worker.poll() is None:
            if self._stopping.wait(POLL_S):
                return _stop(worker)
            if self._detail and self._lock.holder() == worker.pid:
                self._detail = ""
        return worker.returncode

    def _open_log(self) -> IO[bytes]:
        path = self._data_dir / "worker.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return open(path, "ab", opener=opener)

    def _log_tail(self, max_chars: int = 1000) -> str:
        return (self._data_dir / "worker.log").read_bytes()[-4 * max_chars :].decode("utf-8", "replace")[-max_chars:]


def _stop(worker: subprocess.Popen[bytes]) -> int:
    worker.terminate()
    try:
        return worker.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


@contextmanager
def worker_for(
    data_dir: Path, env: Mapping[str, str] | None = None, *, handlers: str | None = None
) -> Iterator[Supervisor]:
    """A worker for the length of a `with` block: ours, or the one that the folder already has."""
    supervisor = Supervisor(data_dir, env, handlers=handlers)
    supervisor.ensure_worker()
    try:
        yield supervisor
    finally:
        supervisor.stop()
