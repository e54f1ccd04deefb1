"""What keeps the processes of one data folder in order: one worker at a time, and nobody outlives its parent.

    serve or CLI  →  worker  →  child (one per running job)

`kill -9` of any of them takes those to its right along, so that a successor never meets a twin.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

PARENT_POLL_S = 0.5
EXIT_LOCKED = 75
"""A worker's exit code when the data folder has another one."""
_PR_SET_PDEATHSIG = 1


def follow_parent(parent_pid: int, death_signal: signal.Signals) -> None:
    """Send this process `death_signal` when its parent dies. Call it first thing: it also sees a parent dead by now.

    Linux does it at once (when the thread that started this process ends, which must be as long-lived as its process);
    elsewhere a thread notices within half a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(PARENT_POLL_S)
        os.kill(os.getpid(), death_signal)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


class StopSignal:
    """SIGTERM and SIGINT as something to wait for.

    Not a threading.Event: setting one in a signal handler can deadlock with the thread that waits for it.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        os.write(self._writer, b".")

    def wait(self, timeout_s: float) -> bool:
        """Whether one came, by now or within this time."""
        return bool(select.select([self._reader], [], [], timeout_s)[0])


class WorkerLock:
    """`worker.lock` of a data folder, held by its one worker. The kernel frees it when the holder dies, however."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "worker.lock"
        self._fd: int | None = None

    def acquire(self, timeout_s: float, stopping: StopSignal) -> bool:
        """Take the lock, waiting for a predecessor that is about to die. False: it did not within `timeout_s`, or we
        were told to stop.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout_s
        while not _lock(fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline or stopping.wait(0.05):
                os.close(fd)
                return False
        self._fd = fd  # kept open: closing it would give the lock up
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        return True

    def holder(self) -> int | None:
        """The process id of the worker that holds the lock; None when nobody does."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            # Shared, so that two that look at once do not take each other for a worker.
            if _lock(fd, fcntl.LOCK_SH):
                return None
            return int(os.read(fd, 32).strip() or b"0")
        finally:
            os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
