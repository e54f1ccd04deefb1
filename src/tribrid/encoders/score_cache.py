"""Scores that are known: people repeat queries, and a query asked again meets the same passages."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from tribrid.encoders.onnx import FloatArray


def score_key(*parts: str) -> bytes:
    """16 bytes that stand for a model, a query, a passage and whatever else decides the score."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.digest()


class ScoreCache:
    """Scores by key, at most `most`; the one unused longest goes first. About 250 bytes each. Safe for threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._hits = self._misses = 0

    def find(self, keys: Sequence[bytes]) -> FloatArray:
        """float32 (n,): the scores, NaN for those that are not known."""
        found = np.full(len(keys), np.nan, np.float32)
        with self._lock:
            for place, key in enumerate(keys):
                if key in self._scores:
                    self._scores.move_to_end(key)
                    found[place] = self._scores[key]
            known = int(np.count_nonzero(~np.isnan(found)))
            self._hits += known
            self._misses += len(keys) - known
        return found

    def keep(self, keys: Sequence[bytes], scores: FloatArray) -> None:
        """Remember these; a NaN is no score."""
        with self._lock:
            for key, score in zip(keys, scores.tolist(), strict=True):
                if not math.isnan(score):
                    self._scores[key] = score
                    self._scores.move_to_end(key)
            while len(self._scores) > self._most:
                self._scores.popitem(last=False)

    def view(self) -> dict[str, int]:
        """How much is kept, and what came of it."""
        return {"scores": len(self._scores), "most": self._most, "hits": self._hits, "misses": self._misses}
