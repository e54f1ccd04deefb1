"""How long one request may take, and whether anybody still waits for its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tribrid.errors import Cancelled


class Budget:
    """One request's patience, and what was left undone for want of it. Safe for threads.

    Attributes:
        read: candidates that were read, and how many there were to read; None while nothing was left out.
    """

    def __init__(self, timeout_ms: int | None = None) -> None:
        """The clock starts now; without `timeout_ms` there is none."""
        self.read: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._gone = False
        self._told: list[Callable[[], None]] = []
        self.limit(timeout_ms)

    def limit(self, timeout_ms: int | None) -> None:
        """Start the clock again; None takes it away."""
        self._until_s = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000

    @property
    def limited(self) -> bool:
        """Whether there is a clock."""
        return self._until_s is not None

    def left_s(self) -> float | None:
        """Seconds, 0 or more; None where there is no limit."""
        return None if self._until_s is None else max(0.0, self._until_s - time.monotonic())

    def shorten(self, read: int, of: int) -> None:
        """Say that of so many candidates only the first `read` were read."""
        self.read = (read, of)

    def leave(self) -> None:
        """Whoever asked is gone: what is not begun need not be."""
        with self._lock:
            self._gone, told = True, list(self._told)
        for tell in told:
            tell()

    def on_leave(self, tell: Callable[[], None]) -> None:
        """Have `tell` called as soon as whoever asked is gone; at once if that has happened."""
        with self._lock:
            self._told.append(tell)
            gone = self._gone
        if gone:
            tell()

    def check(self) -> None:
        """Pass while somebody waits.

        Raises:
            Cancelled: whoever asked is gone.
        """
        if self._gone:
            raise Cancelled("Whoever asked went away before the answer was there.")
