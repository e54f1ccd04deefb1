"""Loads what is heavy once, and remembers for a while what cannot be loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from tribrid.errors import Unavailable, from_problem

RETRY_S = 60.0
"""How long a failure stands: a broken model must not be tried with every search, nor be broken for ever."""

K = TypeVar("K")
V = TypeVar("V")


class LoadOnce(Generic[K, V]):
    """Values by key, each loaded when first asked for. Safe for threads: a slow load holds up only those who wait for
    the same key.
    """

    def __init__(self, load: Callable[[K], V], kept: int, retry_s: float = RETRY_S) -> None:
        """Loads nothing yet.

        Args:
            load: makes the value of a key; its Unavailable is remembered.
            kept: most values; the one unused longest is dropped first.
            retry_s: seconds after which a key that could not be loaded is tried again.
        """
        self._load, self._kept, self._retry_s = load, kept, retry_s
        self._lock = threading.Lock()
        self._locks: dict[K, threading.Lock] = {}
        self._values: dict[K, V] = {}
        self._broken: dict[K, tuple[float, Mapping[str, object]]] = {}

    def get(self, key: K) -> V:
        """The value.

        Raises:
            Unavailable: what `load` raised, now or within the last `retry_s`.
        """
        with self._lock:
            if key in self._values:
                self._values[key] = self._values.pop(key)  # used last: to the end
                return self._values[key]
            turn = self._locks.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._values:  # somebody else loaded it while this thread waited for its turn
                    return self._values[key]
                broken = self._broken.get(key)
            if broken is not None and time.monotonic() < broken[0]:
                # A new error each time: one that is raised again and again grows with every traceback.
                raise from_problem(broken[1])
            return self._load_now(key)

    def loaded(self) -> list[V]:
        """The values that are there, the one unused longest first."""
        with self._lock:
            return list(self._values.values())

    def _load_now(self, key: K) -> V:
        try:
            value = self._load(key)
        except Unavailable as error:
            with self._lock:
                self._broken[key] = (time.monotonic() + self._retry_s, error.problem())
            raise
        with self._lock:
            self._broken.pop(key, None)
            while len(self._values) >= self._kept:
                del self._values[next(iter(self._values))]
            self._values[key] = value
        return value
