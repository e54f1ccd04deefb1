"""Ids as they can be typed: whole, or as much of the beginning as no other has, as git takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tribrid.cli.library import Library
from tribrid.cli.terminal import plain
from tribrid.errors import InvalidInput

if TYPE_CHECKING:
    from tribrid.store.beginnings import Kind

LEAST_CHARS = 4
"""Fewer are taken for a slip, not for the beginning of the only one there is."""
_NAMED = 5


def whole(tribrid: Library, kind: Kind, typed: str) -> str:
    """The one id that begins so. What nothing begins with is returned as it is: the verb says that there is none.

    Raises:
        InvalidInput: several begin so; names them.
    """
    found = tribrid.store.beginnings.ids(kind, typed, _NAMED + 1) if len(typed) >= LEAST_CHARS else []
    if not found or found[0] == typed:
        return typed
    if len(found) > 1:
        named = ", ".join(map(plain, found[:_NAMED])) + (", …" if len(found) > _NAMED else "")
        raise InvalidInput(f"Several {kind} ids begin with {typed!r}: {named}. Type more of it.", given=typed)
    return found[0]


def whole_or_none(tribrid: Library, kind: Kind, typed: str | None) -> str | None:
    """The same for an id that may be left out."""
    return None if typed is None else whole(tribrid, kind, typed)
