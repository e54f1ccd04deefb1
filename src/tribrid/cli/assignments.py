"""NAME=VALUE: as it is typed, and shown such that it can be typed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tribrid.errors import InvalidInput


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE as (name, value); numbers are told from words by the setting they are for.

    Raises:
        InvalidInput: there is no name or no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise InvalidInput(f"{text!r} is not NAME=VALUE.", given=text)
    return name.strip(), value.strip()


def assignable(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values as `assignment` takes them; what has parts of its own is left out."""
    for name, value in values.items():
        if value is None or isinstance(value, bool):
            yield name, "null" if value is None else str(value).lower()
        elif isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
            yield name, " ".join(value)
        elif isinstance(value, (int, float, str)):
            yield name, str(value)
