"""How the forms of logs are told apart, and the names that the fields of a click log may have."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain
from typing import Literal

LogForm = Literal["native", "ubi", "clicks"]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "user_query", "search_term"),
    "doc_id": ("doc_id", "document_id", "document", "doc", "item_id", "product_id", "sku"),
    "timestamp": ("timestamp", "time", "click_time", "clicked_at"),
    "client_id": ("client_id", "user", "user_id"),
}
"""What a field of a click is called, by what it is; of several the first."""
REQUIRED = ("query", "doc_id", "timestamp")
_DELIMITERS = ",\t;"
_UBI_KEYS = frozenset({"action_name", "user_query", "query_response_hit_ids"})
_NATIVE_KEYS = frozenset({"signal", "shown"})


def field_names(columns: Iterable[str]) -> dict[str, str]:
    """Which of the columns holds which of the fields, however they are spelled (Doc_ID, docId); fields that none holds
    are left out.
    """
    return dict(_field_names(tuple(columns)))


@lru_cache(maxsize=256)
def _field_names(columns: tuple[str, ...]) -> Mapping[str, str]:
    there = {_spelled(name): name for name in reversed(columns)}
    there |= {name: name for name in columns}
    found = {
        field: next((there[name] for name in chain(names, map(_spelled, names)) if name in there), None)
        for field, names in FIELDS.items()
    }
    return {field: name for field, name in found.items() if name is not None}


def _spelled(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def csv_header(start: bytes) -> tuple[list[str], str] | None:
    """Columns and delimiter of a click log as CSV, from how the file begins; None if it is no such thing."""
    first = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace").strip("\r")
    for delimiter in _DELIMITERS:
        try:
            columns = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        except csv.Error:  # a carriage return alone, a field without end: bytes that are no text, mostly
            return None
        if all(field in field_names(columns) for field in REQUIRED):
            return columns, delimiter
    return None


def form_of(record: Mapping[str, object]) -> LogForm | None:
    """The form that a record's fields speak for; None if they do for none."""
    keys = record.keys()
    if "query_id" in keys or "action_name" in keys:
        if _NATIVE_KEYS & keys:
            return "native"
        if _UBI_KEYS & keys:
            return "ubi"
    return "clicks" if all(field in field_names(keys) for field in REQUIRED) else None
