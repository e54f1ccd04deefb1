"""How the report page writes numbers and records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from tribrid.report.plots import signed

Json = Mapping[str, Any]

_CERTAIN = 0.05
"""A p-value up to this, and an interval without 0, give a change its colour."""
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def told_change(entry: Json) -> str:
    """A mean change with its 95 % interval."""
    low, high = entry["ci95"]
    return f"<b>{signed(entry['mean'])}</b> [{signed(low)}, {signed(high)}]"


def p_of(entry: Json) -> float:
    """The p-value to read: corrected for looking at several measures, where that was done."""
    corrected = entry.get("p_holm")
    return float(entry["p_value"] if corrected is None else corrected)


def kind_of(entry: Json) -> str:
    """The class of a change: gain or loss where interval and p-value both tell it from 0, else none."""
    low, high = entry["ci95"]
    if p_of(entry) > _CERTAIN or low <= 0 <= high:
        return ""
    return "gain" if low > 0 else "loss"


def prose(text: str) -> str:
    """Escaped, with true minus signs before numbers."""
    return _MINUS.sub("−", escape(text))


def probability(value: float) -> str:
    """A p-value."""
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    """A time, or that there is none."""
    return "not timed" if value is None else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def shortened(value: str) -> str:
    """A hash."""
    return f"{value[:12]}…" if len(value) > 12 else value


def definition_list(entries: Sequence[tuple[str, Any]]) -> str:
    """Names and values as a list."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>' for name, value in entries)}</dl>"


def flat(value: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested record as lines of name and value."""
    for name, item in value.items():
        label = f"{prefix}{name}"
        if isinstance(item, Mapping):
            yield from flat(item, f"{label}.")
        elif isinstance(item, list | tuple):
            yield label, ", ".join(map(str, item)) or "none"
        elif item is not None:
            yield label, f"{item:,.4g}" if isinstance(item, float) else str(item)
