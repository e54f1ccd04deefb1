"""Which fields of a record become what of a document. A field is named as the engine has it, one inside another with a
dot. What is not text is written as text where text is wanted: a number, a date, a list of such, one a line.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.records import parse_record
from tribrid.engines.source import Records
from tribrid.errors import InvalidInput, NoDocuments
from tribrid.types import Document

TEXTS = ("doc_id", "text", "title", "uri")
_METADATA = "metadata."
_PARAGRAPH = "\n\n"


class Mapped:
    """The documents of records, as they are asked for; what is seen of them meanwhile.

    Attributes:
        needed: the fields of records that are named.
        newest: the latest value of the field `changed`, as it can be given as `since`; None: none was seen.
    """

    def __init__(self, mapping: Mapping[str, Sequence[str]], changed: str | None) -> None:
        """Check the mapping.

        Args:
            mapping: a document's field, such as `title` or `metadata.brand`, to the record's fields. Several are joined
                as paragraphs. What is not in it is taken from the field of its own name, doc_id from the engine's id.
            changed: as of Source.

        Raises:
            InvalidInput: documents have no such field; names it.
        """
        _check(mapping)
        self._texts = {name: mapping.get(name, (name,)) for name in TEXTS}
        self._by_engine = "doc_id" not in mapping
        self._metadata = {
            name.removeprefix(_METADATA): fields for name, fields in mapping.items() if name.startswith(_METADATA)
        }
        named = [field for fields in mapping.values() for field in fields]
        self.needed = [*named, changed] if changed else named
        self._changed = changed
        self._latest: Any = None
        self.newest: str | None = None

    def documents(self, records: Records, max_document_chars: int) -> Iterator[Document | Skipped]:
        """Each record's document, or why it is none."""
        for number, (own_id, fields) in enumerate(records, start=1):
            self._note(fields)
            yield parse_record(self._record(own_id, fields), number, max_document_chars=max_document_chars)

    def _record(self, own_id: int | str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: _joined(_all(fields, named)) for name, named in self._texts.items()}
        if self._by_engine and found["doc_id"] is None:
            found["doc_id"] = _text(fields.get("id") if own_id is None else own_id)
        metadata = {name: _values(_all(fields, named)) for name, named in self._metadata.items()}
        kept = {name: value for name, value in metadata.items() if value is not None}
        return {**found, "metadata": kept or None}

    def _note(self, fields: Mapping[str, Any]) -> None:
        """Keep the latest change."""
        if self._changed is None or (value := _at(fields, self._changed)) is None:
            return
        order = _order(value)
        if self._latest is None or order > self._latest:
            self._latest, self.newest = order, str(_text(value))


def all_or_nothing(documents: Iterator[Document | Skipped]) -> Iterator[Document | Skipped]:
    """The same, for who deletes what does not come.

    Raises:
        NoDocuments: at the end, if not one document came: rather the mapping is wrong than that all is gone.
    """
    taken, why = 0, ""
    for found in documents:
        taken += isinstance(found, Document)
        why = why or (found.reason if isinstance(found, Skipped) else "")
        yield found
    if not taken:
        because = f", the first of them because: {why}" if why else ""
        raise NoDocuments(f"No record of the source is a document{because}. Nothing was deleted.")


def _check(names: Iterable[str]) -> None:
    """Pass if documents have these fields.

    Raises:
        InvalidInput: names one that they have not.
    """
    for name in names:
        if name not in TEXTS and name.removeprefix(_METADATA) in (name, ""):
            raise InvalidInput(
                f"map: documents have no field {name!r}, only {', '.join(TEXTS)} and metadata.NAME.", field=name
            )


def _all(fields: Mapping[str, Any], paths: Sequence[str]) -> list[Any]:
    return [_at(fields, path) for path in paths]


def _at(fields: Mapping[str, Any], path: str) -> Any:
    """A field by its name, or by the names of those that it is in; None where there is none."""
    if path in fields:
        return fields[path]
    name, dot, rest = path.partition(".")
    inner = fields.get(name)
    return _at(inner, rest) if dot and isinstance(inner, Mapping) else None


def _joined(values: Sequence[Any]) -> Any:
    """Text of all that is there; a value that is no text as it is, which is refused for it."""
    texts = [text for value in values if (text := _text(value)) is not None]
    odd = next((text for text in texts if not isinstance(text, str)), None)
    if odd is not None:
        return odd
    return _PARAGRAPH.join(texts) if texts else None


def _text(value: Any) -> Any:
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (int, float, decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (list, tuple)):
        lines = [_text(one) for one in value if one is not None]
        return "\n".join(lines) if all(isinstance(line, str) for line in lines) else value
    return value


def _values(values: Sequence[Any]) -> Any:
    """A value of metadata; of several fields a list."""
    found = [_json(value) for value in values]
    return found[0] if len(found) == 1 else found


def _json(value: Any) -> Any:
    """As JSON has it; what JSON has not, as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {str(name): _json(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(inner) for inner in value]
    text = _text(value)
    return text if isinstance(text, str) else str(value)


def _order(value: Any) -> tuple[int, Any]:
    """Such that later comes after: times by the moment, in UTC where they name no zone; other text by its letters."""
    if isinstance(value, (int, float, decimal.Decimal)):
        return 0, value
    try:
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return 2, str(value)
    return 1, moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
