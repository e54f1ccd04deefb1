"""How fast each caller may ask: a token bucket each. Memory is bounded; who was not heard of for long is forgotten."""

from __future__ import annotations

from collections import OrderedDict

BURST_S = 10.0
"""What a caller may send at once after a pause: this many seconds' worth."""
MOST_CALLERS = 10_000


class Rates:
    """Buckets by caller. Used on the event loop alone, so it needs no lock."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_minute: int, now: float) -> float:
        """One request of this caller: 0 if it may, else the seconds until it may.

        Args:
            now: seconds, of a clock that never steps back.
        """
        per_s = per_minute / 60
        size = max(1.0, per_s * BURST_S)
        held, at = self._buckets.pop(name, (size, now))
        held = min(size, held + (now - at) * per_s)
        allowed = held >= 1
        self._buckets[name] = (held - 1 if allowed else held, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - held) / per_s
