"""The worker's child processes: one per running job, and one that has done its imports and waits for the next.

The spare hides what a Python process needs to get going (half a second of CPU) from whoever waits for a short job.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from tribrid.store.jobs import Claim

# A child that does not ask is interrupted after three of them (child.py). A supervisor kills its worker after ten.
STOP_GRACE_S = 5.0


class Child:
    """A process that will run one job, and the end of what it writes to stderr."""

    def __init__(self, command: list[str]) -> None:
        reader, writer = os.pipe()
        # A session of its own: it and all that it starts can be killed together.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=writer, start_new_session=True
        )
        os.close(writer)
        self._tail = Tail(reader)

    def give(self, claim: Claim) -> bool:
        """Hand it its job; False if it died while it waited for one."""
        stdin = self._process.stdin
        try:
            if stdin is not None and self._process.poll() is None:
                stdin.write(f"{claim.job.job_id} {claim.holder}\n".encode())
                stdin.close()
                return True
        except BrokenPipeError:
            pass
        self.kill()
        return False

    def wait(self, timeout_s: float) -> bool:
        """Whether it is dead, waiting this long for it."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and what it started, now. It needs no warning: nothing it writes can be left half done."""
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in its session
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def last_words(self) -> tuple[int, str]:
        """Of a dead one: its exit code (minus the signal that killed it), and the end of its stderr."""
        return self._process.returncode, self._tail.text()


class Children:
    """Those of one worker. Whoever calls it stays until the child's end: the kernel kills a child when the thread that
    started it ends.
    """

    def __init__(self, data_dir: Path, handlers: str) -> None:
        self._command = [sys.executable, "-P", "-m", "tribrid.jobs.child", "--data-dir", str(data_dir)]
        self._command += ["--handlers", handlers, "--parent-pid", str(os.getpid())]
        self._running: dict[Child, Claim] = {}
        self._spare: Child | None = None
        self._lock = threading.Lock()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def warm(self) -> None:
        """Have a spare ready. Cheap when there is one."""
        with self._lock:
            if self._spare is None and not self._stopped:
                self._spare = Child(self._command)

    def start(self, claim: Claim) -> Child | None:
        """A child that does this job now; None after stop()."""
        with self._lock:
            if self._stopped:
                return None
            child, self._spare = self._spare or Child(self._command), None
            while not child.give(claim):
                child = Child(self._command)
            self._running[child] = claim
            return child

    def end(self, child: Child) -> None:
        """Make sure that nothing is left of a job's child."""
        child.kill()
        with self._lock:
            del self._running[child]

    def stop(self) -> list[Claim]:
        """End all of them, and start none again; the jobs that were running.

        Each is asked first: a training then writes down where it stands.
        """
        with self._lock:
            self._stopped = True
            running = dict(self._running)
            doomed = [*running, *([self._spare] if self._spare else [])]
            self._spare = None
        for child in running:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for child in running:
            child.wait(max(0.0, deadline - time.monotonic()))
        for child in doomed:
            child.kill()
        return list(running.values())


class Tail:
    """The last part of what a process writes, read as it comes so that the process never blocks on a full pipe."""

    def __init__(self, pipe_fd: int, max_bytes: int = 8192) -> None:
        """Takes over the reading end of a pipe."""
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._max_bytes = max_bytes
        self._fd = pipe_fd
        self._thread = threading.Thread(target=self._read, name="stderr-tail", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._fd, 4096):
            self._chunks.append(chunk)
            self._kept += len(chunk)
            while self._kept - len(self._chunks[0]) >= self._max_bytes:
                self._kept -= len(self._chunks.popleft())
        os.close(self._fd)

    def text(self, max_chars: int = 4000) -> str:
        """What came last. Waits a second at most for the rest: a grandchild may hold the pipe open for longer."""
        self._thread.join(timeout=1)
        return b"".join(list(self._chunks)).decode("utf-8", "replace")[-max_chars:]
