"""Records to documents: NDJSON or a JSON array of {"doc_id" | "_id", "title"?, "text", "uri"?, "metadata"?}.

A BEIR `corpus.jsonl` goes in as it is. A record that breaks a rule is handed back as `Skipped` with its line
and the rest goes in; nothing in the content can raise. A field that is not named above is not read, which is told once
as a `Loss`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tribrid.corpus.jsonlines import (
    Loss,
    Skipped,
    Stream,
    id_fault,
    id_text,
    json_fault,
    json_items,
    text_fault,
    value_fault,
)
from tribrid.types import Document

__all__ = ["Skipped", "make_document", "parse_record", "parse_records"]

RECORD_FILES = (".jsonl", ".ndjson", ".json")
"""Endings of files that hold records."""
FIELDS = frozenset({"doc_id", "_id", "title", "text", "uri", "metadata"})
MOST_UNREAD = 100
"""Names of fields that are told of."""
MAX_URI_CHARS = 4096
# The longest JSON of one character is a surrogate pair of escapes: "\ud83d\ude00", 12 bytes.
BYTES_PER_CHAR = 12
RECORD_OVERHEAD_BYTES = 1 << 20


def parse_records(stream: Stream, *, max_document_chars: int) -> Iterator[Document | Skipped]:
    """The documents of a stream in order, with a `Skipped` in the place of each record that cannot be taken.

    Memory stays flat for NDJSON; a JSON array is held whole. An integer id counts as its decimal text. An id
    that comes twice is handed on twice.

    Args:
        stream: an open binary file, or byte chunks of any size.
        max_document_chars: most characters of title and text together.
    """
    limit, unread = BYTES_PER_CHAR * max_document_chars + RECORD_OVERHEAD_BYTES, Unread()
    for item in json_items(stream, max_item_bytes=limit):
        if isinstance(item, Skipped):
            yield item
        elif not isinstance(item.value, dict):
            yield Skipped(item.line, "not a JSON object")
        else:
            yield from unread.told(_record(item.line, item.value, max_document_chars), item.value, item.line)


class Unread:
    """Fields of records that nothing reads, each told of once."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def told(self, found: Document | Skipped, record: Mapping[str, Any], line: int) -> Iterator[Document | Skipped]:
        """What was made of a record; if it was taken, with a `Loss` for each field of it that is met for the first
        time and not read.
        """
        yield found
        if isinstance(found, Skipped):
            return
        for name in sorted({str(name) for name in record} - FIELDS - self._told)[: MOST_UNREAD - len(self._told)]:
            self._told.add(name)
            reason = f"the field {name[:100]!r} is not read: what documents are filtered by belongs in `metadata`"
            yield Loss(line, reason, found.doc_id)


def parse_record(record: Mapping[str, Any], line: int, *, max_document_chars: int) -> Document | Skipped:
    """The document of one record, or the rule that it breaks."""
    return _record(line, record, max_document_chars)


def make_document(
    doc_id: str, *, title: str, text: str, uri: str, max_document_chars: int, line: int = 0
) -> Document | Skipped:
    """A document, or the rule it breaks: the same rules for records and for files."""
    fault = id_fault(doc_id, "doc_id")
    if fault is not None:
        return Skipped(line, fault, doc_id=None)
    fault = (
        _long_fault(len(title) + len(text), max_document_chars)
        or _named("title", text_fault(title))
        or _named("text", text_fault(text))
        or _named("uri", text_fault(uri))
        or (f"uri is longer than {MAX_URI_CHARS} characters" if len(uri) > MAX_URI_CHARS else None)
        or (None if text.strip() or title.strip() else "text and title are empty")
    )
    if fault is not None:
        return Skipped(line, fault, doc_id=doc_id)
    return Document(doc_id, text=text, title=title, uri=uri)


def _record(line: int, record: Mapping[str, Any], max_document_chars: int) -> Document | Skipped:
    doc_id = id_text(record.get("doc_id", record.get("_id")))
    fault = id_fault(doc_id, "doc_id")
    if fault is not None or not isinstance(doc_id, str):
        return Skipped(line, fault or "doc_id is not a string")
    metadata = record.get("metadata")
    fault = _shape_fault(record) or _named("metadata", value_fault(metadata))
    if fault is not None:
        return Skipped(line, fault, doc_id=doc_id)
    document = make_document(
        doc_id,
        title=record.get("title") or "",
        text=record.get("text") or "",
        uri=record.get("uri") or "",
        max_document_chars=max_document_chars,
        line=line,
    )
    if isinstance(document, Skipped) or not metadata:
        return document
    return Document(doc_id, text=document.text, title=document.title, uri=document.uri, metadata=metadata)


def _shape_fault(record: Mapping[str, object]) -> str | None:
    """The first field whose JSON type is wrong; null counts as absent."""
    for name in ("title", "text", "uri"):
        if not isinstance(record.get(name), str | None):
            return f"{name} is not a string"
    if not isinstance(record.get("metadata"), dict | None):
        return "metadata is not an object"
    if (fault := json_fault(record.get("metadata"))) is not None:
        return f"metadata {fault}"
    if record.get("text") is None and not record.get("title"):
        return "text is missing"
    return None


def _long_fault(chars: int, limit: int) -> str | None:
    return f"longer than {limit:,} characters ({chars:,})" if chars > limit else None


def _named(name: str, fault: str | None) -> str | None:
    return None if fault is None else f"{name} {fault}"
