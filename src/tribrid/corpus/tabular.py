"""Tables and JSON to text: a line `name: value` for each value, a paragraph for each row or record.

A value without its name says little, so each row repeats the names; passages are cut between paragraphs. What only
looks like JSON stays the text that it is.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from tribrid.corpus.charsets import decode
from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.repeated import Repeated

_DELIMITERS = ",;\t|"
_PROBE_CHARS = 1 << 14
_LINES_NAMED = 5
_NUMBER = re.compile(r"[\W\d]*(?:[eE][-+]?\d+)?")
_TITLES = ("title", "name")


def read_csv(data: bytes, delimiter: str | None, max_chars: int) -> Contents:
    """A table's rows. The first one names the columns, if it can.

    Args:
        delimiter: between cells; None: found out.
        max_chars: if the names in every row make it longer, they stand at the head alone.

    Raises:
        Unreadable: it is no text, or no table.
    """
    text, losses = decode(data)
    delimiter = delimiter or _delimiter(text)
    # A cell may be as long as the file, whose length is limited.
    csv.field_size_limit(max(len(text), 1))
    losses = (*losses, *_open_quotes(text, delimiter))
    names, *rows = _rows(text, delimiter) or [[]]
    if not _are_names(names):
        names, rows = [], [names, *rows]
    text = "\n\n".join(filter(None, (_row(row, names) for row in rows)))
    if names and len(text) > max_chars:
        text = "\n".join(", ".join(filter(None, row)) for row in [names, *rows])
        losses = (*losses, "too long to name the columns in each row: they are named at its head")
    # A table that has only its head is about that.
    return Contents("", text or "\n".join(names), losses)


def _open_quotes(text: str, delimiter: str) -> Iterator[str]:
    """The first row whose quotation marks do not pair: it may have swallowed those after it."""
    reader, before = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 0
    try:
        for _ in reader:
            before = reader.line_num
    except csv.Error:
        lenient = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        end = next((lenient.line_num for _ in lenient if lenient.line_num > before), before + 1)
        upto = f", so it is read as one row up to line {end:,}" if end > before + 1 else ""
        yield f"line {before + 1:,}: its quotation marks do not pair{upto}"


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """The rows that have a cell which is not empty."""
    try:
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        ]
    except csv.Error as error:
        raise Unreadable(f"not a readable table: {error}") from None
    return [row for row in rows if any(row)]


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:_PROBE_CHARS].rpartition("\n")[0] or text, _DELIMITERS).delimiter
    except csv.Error:  # it has one column, or none that it keeps to
        return ","


def _are_names(row: Sequence[str]) -> bool:
    return all(row) and len(set(row)) == len(row) and not any(map(_NUMBER.fullmatch, row))


def _row(row: Sequence[str], names: Sequence[str]) -> str:
    named = [f"{name}: {cell}" for name, cell in zip(names, row, strict=False) if cell]
    # Cells past the named columns stand for themselves.
    return "\n".join([*named, *filter(None, row[len(names) :])])


def read_json(data: bytes) -> Contents:
    """A JSON value, or one a line. Its title is the value's own, if it is an object that has one.

    Raises:
        Unreadable: it is no text.
    """
    source, losses = decode(data)
    repeated = Repeated()
    values, broken = _values(source, repeated)
    if values is None:
        return Contents("", source, (*losses, "is no JSON, so it is read as plain text"))
    text = "\n\n".join(filter(None, (_paragraph(item) for value in values for item in _items(value))))
    return Contents(_title(values), text, (*losses, *broken, *filter(None, [repeated.last_read])))


def _values(source: str, repeated: Repeated) -> tuple[list[object] | None, tuple[str, ...]]:
    """The value, or those of the lines; None where that is no JSON. And which lines are none."""
    try:
        return [json.loads(source, object_pairs_hook=repeated)], ()
    except (ValueError, RecursionError):
        repeated.forget()
        values, broken = _line_values(source, repeated)
    # A file of lines may have a broken one; comments in a file of settings make most of its lines so.
    if not any(isinstance(value, Mapping | list) for value in values) or len(broken) > len(values):
        return None, ()
    return values, _told(broken, len(values) + len(broken))


def _line_values(source: str, repeated: Repeated) -> tuple[list[object], list[int]]:
    """The values of the lines, and the numbers of those that are none."""
    values: list[object] = []
    broken: list[int] = []
    for number, line in enumerate(source.split("\n"), 1):
        try:
            values += [json.loads(line, object_pairs_hook=repeated)] if line.strip() else []
        except (ValueError, RecursionError):
            broken.append(number)
    return values, broken


def _told(broken: Sequence[int], lines: int) -> tuple[str, ...]:
    if not broken:
        return ()
    named = ", ".join(map(str, broken[:_LINES_NAMED])) + (", …" if len(broken) > _LINES_NAMED else "")
    return (f"line{'s' if len(broken) > 1 else ''} {named} of {lines:,}: not valid JSON",)


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _paragraph(value: object) -> str:
    return "\n".join(f"{name}: {text}" if name else text for name, text in _leaves(value) if text.strip())


def _leaves(value: object) -> Iterator[tuple[str, str]]:
    """Each value with the names that lead to it; short lists of words on one line."""
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        path, found = stack.pop()
        if isinstance(found, Mapping):
            stack.extend((f"{path}.{name}" if path else str(name), inner) for name, inner in reversed([*found.items()]))
        elif isinstance(found, list) and any(isinstance(item, Mapping | list) for item in found):
            stack.extend((path, item) for item in reversed(found))
        elif isinstance(found, list):
            yield path, ", ".join(map(_written, found))
        else:
            yield path, _written(found)


def _written(value: object) -> str:
    """A value as it stands in JSON; text as it is, and nothing for null."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(values: Sequence[object]) -> str:
    if len(values) != 1 or not isinstance(values[0], Mapping):
        return ""
    found = (values[0].get(name) for name in _TITLES)
    return next((" ".join(title.split()) for title in found if isinstance(title, str) and title.strip()), "")
