"""Which documents are parts of one another, or parts of one whole, as far as their ids and addresses say so.

A parent holds its child's text, so neither is worse than the other for what the child answers. Siblings (sections of
one page, members of one class) share their surroundings, and a user who found the one may have meant the whole.
Ids are read strictly: a separator that names a part, not any common beginning. A mistake costs one negative.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from tribrid.types import Place

PlacesOf = Callable[[Collection[str]], Mapping[str, Place]]

PART = ("#", ":")
"""What stands between a whole and its part in a doc_id. After one of them a dot does too: `file.py:Class.method`."""
_ROUTE = ("/", "!")
"""A fragment that begins so is a page of its own: single-page applications keep their routes there."""


class Relatives:
    """Some documents, to be asked whether another one is related to any of them."""

    def __init__(self, doc_ids: Collection[str], places: Mapping[str, Place]) -> None:
        self._ids = frozenset(doc_ids)
        self._places = places
        self._wholes = {whole for doc_id in doc_ids for whole in _wholes(doc_id)}
        own = [places.get(doc_id, Place()) for doc_id in doc_ids]
        self._parents = {place.parent_id for place in own if place.parent_id}
        self._pages = {(page, bool(part)) for page, part in (_split(place.uri) for place in own) if page}

    def hold_or_are_in(self, doc_id: str) -> bool:
        """Whether one of them holds this document, or this one holds it, by ids, addresses or `parent_id`."""
        place = self._places.get(doc_id, Place())
        if doc_id in self._wholes or doc_id in self._parents or place.parent_id in self._ids:
            return True
        page, part = _split(place.uri)
        return (page, not part) in self._pages or not self._ids.isdisjoint(_wholes(doc_id))

    def have_sibling(self, doc_id: str) -> bool:
        """Whether this document and one of them say that they are parts of the same one."""
        place = self._places.get(doc_id, Place())
        page, part = _split(place.uri)
        return place.parent_id in self._parents or (bool(part) and (page, True) in self._pages)


def _wholes(doc_id: str) -> Sequence[str]:
    """What a document is a part of, by its id."""
    if not any(mark in doc_id for mark in PART):
        return ()
    first = min(at for mark in PART if (at := doc_id.find(mark)) >= 0)
    return [doc_id[:at] for at in range(max(first, 1), len(doc_id)) if _begins_part(doc_id, at, first)]


def _begins_part(doc_id: str, at: int, first: int) -> bool:
    return doc_id[at] in PART or (doc_id[at] == "." and at > first)


def _split(uri: str) -> tuple[str, str]:
    """An address as page and part of it."""
    page, _, part = uri.partition("#")
    return (uri, "") if part.startswith(_ROUTE) else (page, part)
