"""Click-only logs: a query, the document that was clicked, the time; what else was shown nobody wrote down.

NDJSON (or a JSON array) of objects, or CSV with a header, comma, semicolon or tab between. `FIELDS` are the names a
field may have. `ClickLog` hands the clicks back query by query, so that whoever makes up for the missing impressions
need ask for each query once; memory does not grow with the log.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from tribrid.corpus.jsonlines import Item, Skipped, Stream, json_items, peek, text_lines
from tribrid.corpus.lexical import normalise
from tribrid.errors import InvalidInput
from tribrid.logs.causes import Evidence
from tribrid.logs.forms import FIELDS, csv_header, field_names
from tribrid.logs.records import Rejected, checked_id, client, query_text, time_us
from tribrid.logs.staging import Tables
from tribrid.store.columns import Columns

MAX_RECORD_BYTES = 1 << 20
TOLD_EVERY = 10_000
_KEY_CHARS = 16
_COLUMNS = {"key": "text", "number": "int", "line": "int", "query": "text", "doc_id": "text", "at_us": "int"}
_COLUMNS |= {"client_id": "text"}
_MIN_EPOCH_DIGITS = 9  # shorter numbers are dates such as 20110914
_PACK = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Click(NamedTuple):
    """A click as it was logged; `line` from 1."""

    line: int
    query: str
    doc_id: str
    at_us: int
    client_id: str | None = None

    @property
    def key(self) -> str:
        """The same for clicks on what is one query, 16 hexadecimal digits."""
        return _digest(normalise(self.query))

    def query_id(self, corpus_id: str) -> str:
        """The same whenever and wherever the click is imported into this corpus, 32 hexadecimal digits.

        Those of one query begin alike, which keeps them together in an index.
        """
        return self.key + _digest(_PACK([corpus_id, self.doc_id, self.at_us, self.client_id]))


def _items(stream: Stream) -> Iterator[Item | Skipped]:
    start, whole = peek(stream)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b""):
        return json_items(whole, max_item_bytes=MAX_RECORD_BYTES)
    return _rows(start, whole)


class ClickLog:
    """A click log on its way in: `read` it, then take it `by_query`, as often as need be. Close it, or use `with`."""

    def __init__(self, columns: Columns | None = None) -> None:
        """`columns`: where clicks wait; None for a place of its own."""
        self.evidence = Evidence("clicks")
        self._tables = Tables({"clicks": _COLUMNS}, columns)
        self._count = 0

    def __enter__(self) -> ClickLog:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._tables.close()

    def __len__(self) -> int:
        """Clicks that wait."""
        return self._count

    def read(self, stream: Stream, *, tell: Callable[[int], None] | None = None) -> Iterator[Skipped]:
        """Take the stream in; yields the records that are no clicks, and why.

        Args:
            tell: is told how many were read, now and then.

        Raises:
            InvalidInput: it is CSV without a header that names query, document and time.
        """
        for number, item in enumerate(_items(stream), 1):
            if isinstance(item, Item) and isinstance(item.value, dict):
                self.evidence.sample(item.value)
            found = _click(item)
            if isinstance(found, Skipped):
                self.evidence.refused(found.reason)
                yield found
            else:
                self.evidence.clicked(found.doc_id)
                self._tables.put("clicks", (found.key, self._count, *found))
                self._count += 1
            if tell is not None and number % TOLD_EVERY == 0:
                tell(number)

    def by_query(self) -> Iterator[tuple[str, Iterator[Click]]]:
        """The clicks by query, in the order they came: what is the same for a query, and its clicks."""
        rows = self._tables.each("SELECT * FROM clicks ORDER BY key, number")
        for key, found in groupby(rows, key=itemgetter(0)):
            yield key, (Click(*row[2:]) for row in found)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_CHARS // 2).hexdigest()


def _click(item: Item | Skipped) -> Click | Skipped:
    if isinstance(item, Skipped):
        return item
    record = item.value
    if not isinstance(record, dict):
        return Skipped(item.line, "not a JSON object")
    names = field_names(record)
    fields = {field: record[name] for field, name in names.items()}
    try:
        query = query_text(fields.get("query"), "query")
        doc_id = checked_id(fields.get("doc_id"), "doc_id")
        return Click(item.line, query, doc_id, time_us(fields, "timestamp"), client(fields.get("client_id")))
    except Rejected as rejected:
        return Skipped(item.line, str(rejected), kind=rejected.kind)


def _rows(start: bytes, stream: Iterator[bytes]) -> Iterator[Item | Skipped]:
    """CSV as the objects that its header makes of it."""
    found = csv_header(start)
    if found is None:
        known = "; ".join(f"{name}: {', '.join(names)}" for name, names in FIELDS.items())
        raise InvalidInput(
            "A click log is NDJSON, or CSV whose first line, ended by a line feed, names its columns; neither is "
            "compressed. It needs query, document and time. "
            f"Names it may use: {known}."
        )
    columns, delimiter = found
    lines = _Lines(stream)
    rows = csv.reader(lines, delimiter=delimiter)
    next(rows)
    while True:
        lines.begin()
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            # A quote that is never closed: what it swallowed is lost, and reading goes on behind it.
            yield Skipped(lines.first, f"not valid CSV up to line {lines.number}: {error}")
            continue
        if row:
            yield from lines.skipped
            lines.skipped.clear()
            yield _row(lines.first, columns, row)
    yield from lines.skipped


def _row(line: int, columns: Sequence[str], row: Sequence[str]) -> Item | Skipped:
    if len(row) != len(columns):
        return Skipped(line, f"{len(row)} columns where the header has {len(columns)}")
    record: dict[str, object] = {name: value for name, value in zip(columns, row, strict=True) if value != ""}
    time = field_names(record).get("timestamp")
    if time is not None:
        record[time] = _number(str(record[time]))
    return Item(line, record)


def _number(text: str) -> object:
    """A time written in digits as the number it is; any other as it stands."""
    if len(text.partition(".")[0]) >= _MIN_EPOCH_DIGITS and text.isascii():
        with suppress(ValueError):
            return float(text) if "." in text else int(text)
    return text


class _Lines(Iterator[str]):
    """A stream's lines as text for the csv module; those that are none are put aside.

    `first` is where the record under way began, `number` how far reading is.
    """

    def __init__(self, stream: Stream) -> None:
        self.number = 0
        self.first = 0
        self.skipped: list[Skipped] = []
        self._lines = text_lines(stream, max_line_bytes=MAX_RECORD_BYTES)

    def begin(self) -> None:
        """The next line begins a record."""
        self.first = 0

    def __next__(self) -> str:
        for number, raw in self._lines:
            self.number = number
            try:
                if raw is not None:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
                    self.first = self.first or number
                    return text
                self.skipped.append(Skipped(number, f"longer than {MAX_RECORD_BYTES:,} bytes"))
            except UnicodeDecodeError as error:
                self.skipped.append(Skipped(number, f"not valid UTF-8 (byte {error.start + 1} of the line)"))
        raise StopIteration
