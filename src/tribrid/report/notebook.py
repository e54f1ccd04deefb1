"""What a notebook shows: a page in a frame of its own, so that its style stays in it; or an answer's fields."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from tribrid.report.templates import render

MOST_CHARS = 300


def framed(page: str, height: int) -> str:
    """A page within a notebook. It runs no script, and reaches nothing around it.

    Args:
        height: px.
    """
    return render("framed.html", page=page, height=height)


def fields(answer: BaseModel) -> str:
    """The fields of an answer, one a row; of a long list how long it is."""
    return table(type(answer).__name__, dict(answer))


def table(title: str, values: Mapping[str, object]) -> str:
    """Names and values, one a row."""
    return render("fields.html", title=title, rows=_rows(values))


def _rows(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            found += _rows(dict(value), f"{label}.")
        elif isinstance(value, Mapping) and value:
            found += _rows({str(key): item for key, item in value.items()}, f"{label}.")
        else:
            found.append((label, _cell(value)))
    return found


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple | list) and any(isinstance(item, BaseModel) for item in value):
        return f"{len(value):,} of {type(value[0]).__name__}"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}…"
