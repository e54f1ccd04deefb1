"""How pages say numbers, times and what was done, as plain text: the templates escape it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

DONE: Mapping[str, str] = {
    "created": "The corpus is there. Give it documents next.",
    "deleted": "It is deleted.",
    "signed-out": "You are signed out.",
    "told": "Noted. It is in the log, and the next mining reads it.",
    "rated": "The judgment is kept.",
    "fixed": "The eval dataset is fixed. What is measured from now on is measured on it.",
    "decided": "Decided. It holds for this and every later mining.",
    "queued": "It is queued, and starts as soon as nothing else runs for this corpus.",
    "cancelled": "It was asked to end.",
    "promoted": "It serves from the next search on.",
    "rolled-back": "The one before serves again.",
    "started": "The experiment runs.",
    "stopped": "The champion serves alone again. What was counted is kept.",
    "saved": "The setting is kept, and holds from the next call on.",
    "erased": "It is erased.",
    "revoked": "The key is revoked: a running server refuses it within a second or two.",
}
"""What a page says after a form, by the name that its address has."""

_UNITS = ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago something was."""
    if at is None:
        return "never"
    passed_s = (now - at).total_seconds()
    for length_s, unit in _UNITS:
        if passed_s >= length_s:
            return counted(int(passed_s // length_s), unit) + " ago"
    return "just now"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def lasted(seconds: float | None) -> str:
    """A length of time."""
    if seconds is None:
        return "not known"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plainly(value: JsonValue) -> str:
    """A value of JSON as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list):
        return ", ".join(map(plainly, value)) or "none"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "none" if value is None else value or "empty"


def _number(value: int | float) -> str:
    """Whole numbers from 10,000 on in groups of three: a seed or a year is none."""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"{value:,.4g}".replace("-", "−")


def clipped(text: str, chars: int = 300) -> str:
    """The beginning of a text, to the end of a word."""
    line = " ".join(text.split())
    if len(line) <= chars:
        return line
    return line[:chars].rsplit(" ", 1)[0].rstrip() + " …"


def clock(at_us: int) -> str:
    """The time of day of a line in a log, UTC."""
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%H:%M:%S}"


def logline(data: Mapping[str, JsonValue]) -> str:
    """A line of a run's log: its message, or all that it tells."""
    for name in ("message", "text", "line", "detail"):
        if isinstance(data.get(name), str):
            return str(data[name])
    return ", ".join(f"{name} {plainly(value)}" for name, value in data.items())


FILTERS: dict[str, Callable[..., object]] = {
    "ago": ago,
    "moment": moment,
    "counted": counted,
    "lasted": lasted,
    "plainly": plainly,
    "clipped": clipped,
    "clock": clock,
    "logline": logline,
}
