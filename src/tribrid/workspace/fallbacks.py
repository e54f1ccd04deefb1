"""Searches that a reranker should have ranked and did not: how many, why, and what it said last."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tribrid.errors import TribridError


class Fallbacks:
    """Counts by corpus and error code since the process started. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._last: dict[str, dict[str, Any]] = {}

    def add(self, corpus_id: str, error: TribridError, at_us: int) -> None:
        """One more."""
        with self._lock:
            self._counts.setdefault(corpus_id, Counter())[error.code] += 1
            self._last[corpus_id] = {"code": error.code, "reason": error.detail, "at_us": at_us}

    def forget(self, corpus_id: str) -> None:
        """The corpus is gone."""
        with self._lock:
            self._counts.pop(corpus_id, None)
            self._last.pop(corpus_id, None)

    def of(self, corpus_id: str | None) -> tuple[Mapping[str, int], Mapping[str, Any] | None]:
        """Counts by code, and the last one (`code`, `reason`, `at_us`); of all corpora for None."""
        with self._lock:
            if corpus_id is not None:
                return dict(self._counts.get(corpus_id, {})), self._last.get(corpus_id)
            together = Counter[str]()
            for counts in self._counts.values():
                together.update(counts)
            return dict(together), max(self._last.values(), key=lambda last: last["at_us"], default=None)
