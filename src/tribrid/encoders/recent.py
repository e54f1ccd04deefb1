"""What was used last, up to so many bytes: the one way in which passages, tokens and vectors are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key; those unused longest go first. Safe for threads."""

    def __init__(self, size: Callable[[V], int]) -> None:
        """Starts empty. `size`: bytes of a value, always the same."""
        self._size, self._bytes = size, 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, keys: Iterable[K]) -> dict[K, V]:
        """Those of these that are kept."""
        with self._lock:
            found = {key: self._values[key] for key in keys if key in self._values}
            for key in found:
                self._values.move_to_end(key)
        return found

    def put(self, values: Mapping[K, V], most_bytes: int) -> None:
        """Keep these, but for what is kept already, and forget what is too much."""
        with self._lock:
            for key, value in values.items():
                if key not in self._values:
                    self._values[key] = value
                    self._bytes += self._size(value)
            while self._bytes > most_bytes:
                self._bytes -= self._size(self._values.popitem(last=False)[1])
