"""Why searches of this process are not logged. It holds for a while only: nobody may search after it is mended."""

from __future__ import annotations

import time

HOLDS_S = 60.0


class Unlogged:
    """The last search's, if that was lately."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._at = 0.0

    @property
    def why(self) -> str | None:
        """In words; None where the last search was logged, or nobody searched for `HOLDS_S`."""
        return self._why if time.monotonic() - self._at < HOLDS_S else None

    def set(self, why: str | None) -> None:
        """Say how the last search went; None: it is logged."""
        self._why, self._at = why, time.monotonic()
