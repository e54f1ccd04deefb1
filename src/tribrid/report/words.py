"""How the report page writes numbers and words, as plain text: the templates escape it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def number(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign: +0.052, −0.004, and 0.000 without one."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """A share of one."""
    return "–" if share is None else f"{share:.{digits}%}".replace("%", " %")


def probability(value: float) -> str:
    """A p-value."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    """A time, or that there is none."""
    return "not timed" if value is None else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


def prose(text: str) -> str:
    """A sentence with true minus signs before numbers."""
    return _MINUS.sub("−", text)


def spaced(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")


def shortened(value: str) -> str:
    """A hash."""
    return f"{value[:12]}…" if len(value) > 12 else value


def flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested record as lines of name and value; what is not known is left out."""
    for name, item in value.items():
        label = f"{prefix}{name}"
        if isinstance(item, Mapping):
            yield from flat(item, f"{label}.")
        elif item is not None:
            yield label, f"{item:,.4g}" if isinstance(item, float) else str(item)
