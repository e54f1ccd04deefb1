"""Documents as rerank clients send them: a string, or an object with a text, and perhaps a title, an id, metadata.

Liberal in what is taken, because each client has its own form; what cannot be read is refused by its place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribrid.corpus.jsonlines import id_fault, id_text, json_fault, storable
from tribrid.errors import InvalidInput

TEXT_FIELDS = ("text", "content", "page_content", "passage")
ID_FIELDS = ("doc_id", "id", "_id")
MAX_TITLE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Inline:
    """One document of a request.

    Attributes:
        text: its text; None where only an id came, for a document that the corpus knows.
        doc_id: as the client calls it; None where it did not say.
        given: as it came, for who wants it back.
    """

    text: str | None
    title: str = ""
    doc_id: str | None = None
    uri: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    given: str | Mapping[str, Any] = ""


def inline_document(
    value: object, position: int, rank_fields: Sequence[str] | None, named: Collection[str] = ()
) -> Inline:
    """A document of a request.

    Args:
        position: in the request, from 0.
        rank_fields: of an object, the fields that make its text, in this order; None: its title and its text.
        named: fields of the object that are metadata wherever they stand, in it or beside it.

    Raises:
        InvalidInput: it is neither a string nor an object with a text or an id; names its place.
    """
    place = f"documents[{position}]"
    if isinstance(value, str):
        return Inline(storable(value), given=value)
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{place}: must be a string, or an object with a `text`.", position=position)
    fault = json_fault(value)
    if fault is not None:
        raise InvalidInput(f"{place}: {fault}.", position=position)
    metadata = _metadata(value, named)
    doc_id = _id(value, metadata, place)
    text, title = _named(value, rank_fields, place) if rank_fields else _plain(value, place)
    if text is None and doc_id is None:
        raise InvalidInput(
            f"{place}: has no text. Fields that are read: {', '.join(rank_fields or TEXT_FIELDS)}.", position=position
        )
    uri = value.get("uri")
    return Inline(text, title, doc_id, storable(uri) if isinstance(uri, str) else "", metadata, value)


def _metadata(value: Mapping[str, Any], named: Collection[str]) -> Mapping[str, Any]:
    given = value.get("metadata")
    inside = given if isinstance(given, Mapping) else {}
    return {**{name: value[name] for name in named if value.get(name) is not None}, **inside}


def _id(value: Mapping[str, object], metadata: Mapping[str, object], place: str) -> str | None:
    """The document's id. Metadata is another program's, which may mean something else by `id`: one that cannot be an
    id there is none.
    """
    for name in ID_FIELDS:
        found = _id_text(value.get(name))
        if found is not None:
            fault = id_fault(found, name)
            if fault is not None:
                raise InvalidInput(f"{place}: {fault}.")
            return str(found)
    candidates = (_id_text(metadata.get(name)) for name in ID_FIELDS)
    return next((str(found) for found in candidates if id_fault(found, "") is None), None)


def _id_text(value: object) -> object:
    """An id as text. What counts in floating point (pandas, JavaScript) writes 5.0 for 5."""
    return id_text(int(value) if isinstance(value, float) and value.is_integer() else value)


def _plain(value: Mapping[str, object], place: str) -> tuple[str | None, str]:
    title = value.get("title")
    name = next((name for name in TEXT_FIELDS if value.get(name) is not None), None)
    text = value[name] if name else None
    if text is not None and not isinstance(text, str):
        raise InvalidInput(f"{place}.{name}: must be a string. Only texts can be ranked, no images and no parts.")
    return None if text is None else storable(text), _title(title)


def _named(value: Mapping[str, object], rank_fields: Sequence[str], place: str) -> tuple[str | None, str]:
    """Of the named fields, `title` is the title and the rest, joined by line ends, the text."""
    found = [(name, value[name]) for name in rank_fields if value.get(name) is not None]
    wrong = [name for name, part in found if isinstance(part, Mapping | list)]
    if wrong:
        raise InvalidInput(f"{place}.{wrong[0]}: a field that is ranked must be a string or a number.")
    body = [str(part) for name, part in found if name != "title"]
    title = _title(dict(found).get("title"))
    if not body and title:
        return storable(title), ""
    return (storable("\n".join(body)) if body else None), title


def _title(value: object) -> str:
    return storable(value)[:MAX_TITLE_CHARS] if isinstance(value, str) else ""
