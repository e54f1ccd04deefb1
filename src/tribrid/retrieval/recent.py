"""Rows of the index that searches found last, in memory: what was asked for is often found again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

from tribrid.retrieval.fusion import Key
from tribrid.retrieval.rows import Vector
from tribrid.types import Passage

MOST_BYTES = 48 * 2**20
"""Some 2,000 passages of 300 tokens."""
_OVERHEAD_BYTES = 1_000
"""Of the objects that hold a row, about."""


class Row(NamedTuple):
    """A passage, its opaque token blob, and its vector: float32 (dim,), L2-normalised."""

    passage: Passage
    tokens: bytes
    vector: Vector

    @property
    def nbytes(self) -> int:
        """Of memory, about; the text as if it were ASCII."""
        return len(self.tokens) + len(self.passage.text) + self.vector.nbytes + _OVERHEAD_BYTES


class RecentRows:
    """The rows that were used last, up to a size. Safe for threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Starts empty."""
        self._most_bytes, self._bytes = most_bytes, 0
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._lock = Lock()

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """Those of these rows that are kept."""
        with self._lock:
            found = {key: self._rows[key] for key in keys if key in self._rows}
            for key in found:
                self._rows.move_to_end(key)
        return found

    def put(self, rows: Iterable[Row]) -> None:
        """Keep these, and for their sake forget those that were not used for longest."""
        with self._lock:
            for row in rows:
                if row.passage.key not in self._rows:
                    self._rows[row.passage.key] = row
                    self._bytes += row.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._rows.popitem(last=False)[1].nbytes
