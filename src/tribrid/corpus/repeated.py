"""Names that stand twice in one object of JSON: Python keeps the last value and says nothing, others keep the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

_SHOWN_CHARS = 100


class Repeated:
    """A hook for a parser's objects, which keeps the first name that one of them has twice."""

    def __init__(self) -> None:
        self._name: str | None = None

    def __call__(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs) and self._name is None:
            self._name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        return found

    def forget(self) -> None:
        """Begin with another text."""
        self._name = None

    @property
    def fault(self) -> str | None:
        """What is wrong with what was parsed, or None."""
        return None if self._name is None else f"the name {self._name[:_SHOWN_CHARS]!r} comes twice in one object"

    @property
    def last_read(self) -> str | None:
        """The same of what was read all the same, or None."""
        return None if self.fault is None else f"{self.fault}: only its last value is read"
