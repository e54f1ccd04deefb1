"""Runs the work of many callers on a few threads, a piece of each in turn.

A caller has no more pieces waiting than keep the threads busy. So one that brings a thousand documents shares the
threads with one that brings ten, from the first piece on, and neither waits for the other's end.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Turns:
    """See the module. Threads start with the first work and sleep when there is none. Safe for threads."""

    def __init__(self, threads: int | None = None) -> None:
        """Nothing runs yet. `threads` None: one a core."""
        self.threads = threads or cores()
        self._pool = ThreadPoolExecutor(self.threads, "encoder")

    def map(self, work: Callable[[T], R], pieces: Iterable[T], check: Callable[[], None]) -> Iterator[R]:
        """`work` of each piece, in order. A single piece is done on the thread that calls.

        Args:
            check: called before each piece is begun; what it raises ends the call.

        Raises:
            Whatever `work` or `check` raises; what was not begun by then is dropped.
        """
        coming = iter(pieces)
        first = list(islice(coming, 2))
        if len(first) < 2:
            for piece in first:
                check()
                yield work(piece)
            return
        waiting: deque[Future[R]] = deque()
        try:
            for piece in (*first, *coming):
                check()
                waiting.append(self._pool.submit(work, piece))
                if len(waiting) > self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
