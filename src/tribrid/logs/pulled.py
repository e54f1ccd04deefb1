"""The log that OpenSearch's User Behavior Insights keeps in two indices, as an import reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from tribrid.errors import InvalidInput
from tribrid.logs.records import Rejected, time_us
from tribrid.logs.times import moment

INDICES, TIME = "ubi_queries,ubi_events", "timestamp"
"""As the plugin names them; and in both, the field that says when."""
AGAIN = timedelta(days=1)
"""Read once more by the next pull: records come late, and an event's place in a list counts from 0 or from 1, which a
log of minutes may not show."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UbiLog:
    """Queries and events, in any order."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Read nothing yet."""
        self._records = records
        self._newest_us: int | None = None

    def lines(self) -> Iterator[bytes]:
        """Each record as a line of JSON."""
        for fields in self._records:
            with suppress(Rejected):  # the import says so
                self._newest_us = max(self._newest_us or 0, time_us(fields, TIME))
            yield json.dumps(fields).encode("ascii") + b"\n"

    @property
    def since(self) -> str | None:
        """Where the next pull goes on, ISO 8601, when all lines were read; None where no record had a time."""
        if self._newest_us is None:
            return None
        # Browsers say when something was clicked, and some clocks are ahead: what comes after them would never be read.
        newest = min(_EPOCH + timedelta(microseconds=self._newest_us), datetime.now(UTC))
        return max(newest - AGAIN, _EPOCH).isoformat(timespec="milliseconds")


def check_since(since: str) -> None:
    """Pass if it is a time.

    Raises:
        InvalidInput: it is none.
    """
    try:
        moment(since)
    except (ValueError, OverflowError):
        raise InvalidInput(f"since: {since[:40]!r} is no time such as 2026-03-01T12:00:00Z.", field="since") from None
