"""Which documents are parts of one another, or parts of one whole, as far as their ids and addresses say so.

A parent holds its child's text, so neither is worse than the other for what the child answers. Siblings (sections of
one page, members of one class) share their surroundings, and a user who found the one may have meant the whole.
Ids are read strictly: a separator that names a part, not any common beginning. A mistake costs one negative.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from tribrid.types import Place

PlacesOf = Callable[[Collection[str]], Mapping[str, Place]]

PART = ("#", ":")
"""What stands between a whole and its part in a doc_id. After one of them a dot does too: `file.py:Class.method`."""
_ROUTE = ("/", "!")
"""A fragment that begins so is a page of its own: single-page applications keep their routes there."""


def are_parent_and_child(a: str, b: str, places: Mapping[str, Place]) -> bool:
    """Whether one of two documents holds the other, by their ids, addresses or `parent_id`."""
    mine, other = places.get(a, Place()), places.get(b, Place())
    if _holds(a, b) or _holds(b, a) or mine.parent_id == b or other.parent_id == a:
        return True
    pages = _split(mine.uri), _split(other.uri)
    return bool(pages[0][0]) and pages[0][0] == pages[1][0] and bool(pages[0][1]) != bool(pages[1][1])


def are_siblings(a: str, b: str, places: Mapping[str, Place]) -> bool:
    """Whether two documents say that they are parts of the same one."""
    mine, other = places.get(a, Place()), places.get(b, Place())
    if mine.parent_id and mine.parent_id == other.parent_id:
        return True
    pages = _split(mine.uri), _split(other.uri)
    return bool(pages[0][0]) and pages[0][0] == pages[1][0] and bool(pages[0][1]) and bool(pages[1][1])


def _holds(whole: str, part: str) -> bool:
    if not whole or len(part) <= len(whole) or not part.startswith(whole):
        return False
    after = part[len(whole)]
    return after in PART or (after == "." and any(mark in whole for mark in PART))


def _split(uri: str) -> tuple[str, str]:
    """An address as page and part of it."""
    page, _, part = uri.partition("#")
    return (uri, "") if part.startswith(_ROUTE) else (page, part)
