"""Reads JSON values from a byte stream, one by one, and never raises on what is in it.

NDJSON is read line by line in flat memory; a stream that starts with `[` is one JSON array and is held
whole. What cannot be read becomes a `Skipped` that says where and why, and reading goes on. Refuses what
Python's parser would let through and a database or a JSON client would choke on: NaN, Infinity, numbers
that overflow, names that come twice in one object, NUL characters and broken UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePath
from typing import BinaryIO, Literal

from tribrid.corpus.repeated import Repeated
from tribrid.types.texts import MAX_ID_CHARS

Stream = BinaryIO | Iterable[bytes]

BLOCK_BYTES = 1 << 16
MAX_NESTING = 50

_SPACE = re.compile(r"[ \t\r\n]*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Control characters, and the two separators that some readers take for line ends.
_ID_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Skipped:
    """One thing that was not taken in, and why.

    `line` counts from 1; in a JSON array it is the item's position, for a file as a whole it is 0. `kind` is
    `invalid` (the record is broken), `unjoined` (feedback that fits no impression) or `ignored` (rightly
    formed, nothing in it to import). `source` names the file where several are read together. `times`: it stands for so
    many alike, of which `line` is the first.
    """

    line: int
    reason: str
    doc_id: str | None = None
    kind: Literal["invalid", "unjoined", "ignored"] = "invalid"
    source: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Loss(Skipped):
    """What is missing from a document that was taken in: a page that cannot be read, bytes that were replaced."""


@dataclass(frozen=True, slots=True)
class Item:
    """One JSON value and the line (or array position) it stood at, from 1."""

    line: int
    value: object


def json_items(stream: Stream, *, max_item_bytes: int) -> Iterator[Item | Skipped]:
    """Every JSON value of an NDJSON stream, or of one JSON array, in order.

    Args:
        stream: an open binary file, or byte chunks of any size (an HTTP body).
        max_item_bytes: a longer NDJSON line is skipped without being held in memory.
    """
    parser = _Parser()
    blocks = _blocks(stream)
    first, line = b"", 1
    for block in blocks:
        first = block.removeprefix(b"\xef\xbb\xbf")
        if first.strip():
            break
        line += first.count(b"\n")
    if first.lstrip().startswith(b"["):
        text = (first + b"".join(blocks)).decode("utf-8", "surrogateescape")
        yield from _array_items(text, parser)
        return
    for number, raw in _lines(first, blocks, line, max_item_bytes):
        if raw is None:
            yield _too_long(number, max_item_bytes)
        elif raw.strip():
            yield _line_item(number, raw, parser)


class LineItems:
    """Reads the lines of one NDJSON stream that its caller has split."""

    def __init__(self, *, max_item_bytes: int) -> None:
        self._max_item_bytes = max_item_bytes
        self._parser = _Parser()

    def item(self, number: int, raw: bytes) -> Item | Skipped | None:
        """The value of a line; None where it is empty."""
        if len(raw) > self._max_item_bytes:
            return _too_long(number, self._max_item_bytes)
        return _line_item(number, raw, self._parser) if raw.strip() else None


def line_blocks(stream: Stream, *, block_bytes: int, max_item_bytes: int) -> Iterator[tuple[int, bytes] | Skipped]:
    """The lines of an NDJSON stream in blocks, each with the number of its first; only whole lines.

    Args:
        block_bytes: a block has about so many, and more than `max_item_bytes`.
        max_item_bytes: a longer line is skipped without being held in memory.
    """
    number, rest, too_long = 1, b"", False
    for chunk in _larger(_blocks(stream), block_bytes):
        if too_long:
            _, ended, rest = chunk.partition(b"\n")
            if not ended:
                continue
            yield _too_long(number, max_item_bytes)
            number += 1
        else:
            rest += chunk
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield number, rest[:cut]
            number += rest.count(b"\n", 0, cut)
        too_long = len(rest) - cut > max_item_bytes
        rest = b"" if too_long else rest[cut:]
    if too_long:
        yield _too_long(number, max_item_bytes)
    elif rest:
        yield number, rest


def _larger(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The blocks joined to some that are at least this large, but for the last."""
    while block := b"".join(islice(blocks, max(1, size // BLOCK_BYTES))):
        yield block


def _too_long(number: int, max_item_bytes: int) -> Skipped:
    return Skipped(number, f"longer than {max_item_bytes:,} bytes")


def peek(stream: Stream) -> tuple[bytes, Iterator[bytes]]:
    """How a stream begins (some `BLOCK_BYTES`, or all of it), and the whole stream again."""
    blocks = _blocks(stream)
    first = next(blocks, b"")
    return first, chain([first], blocks)


def text_lines(stream: Stream, *, max_line_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines (from 1) without their line feed; None for one that is longer, which is not held in memory."""
    return _lines(b"", _blocks(stream), 1, max_line_bytes)


def stream_name(stream: Stream) -> str:
    """The file name behind a stream, without its folder; empty for anything else."""
    name = getattr(stream, "name", "")
    return PurePath(name).name if isinstance(name, str) else ""


def text_fault(text: str) -> str | None:
    """Why a text cannot be stored and sent on, or None."""
    # memchr for NUL and a flag test for ASCII: this runs over every document.
    if text.isascii() and "\x00" not in text:
        return None
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    return "holds a NUL character" if found[0] == "\x00" else "is not valid Unicode (broken UTF-8)"


def storable(text: str) -> str:
    """The text without what no database takes, and PDF readers leave: a NUL is a space, the halves of a surrogate pair
    become their character, and a half alone goes.
    """
    if text_fault(text) is None:
        return text
    return text.replace("\0", " ").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def id_fault(value: object, name: str) -> str | None:
    """Why a value cannot be an id, or None. Ids are 1 to 512 characters, none of them a control character."""
    if not isinstance(value, str):
        return f"{name} is missing" if value is None else f"{name} is not a string"
    fault = None
    if not value.strip():
        fault = "is empty"
    elif len(value) > MAX_ID_CHARS:
        fault = f"is longer than {MAX_ID_CHARS} characters"
    elif _ID_REFUSED.search(value):
        fault = "holds a control character or broken Unicode"
    elif value != value.strip():
        fault = "starts or ends with a space"
    return fault and f"{name} {fault}"


def id_text(value: object) -> object:
    """An integer id as the text it is written with; anything else unchanged, for `id_fault` to judge."""
    # bool is an int in Python; `true` is no id.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def value_fault(value: object, depth: int = 0) -> str | None:
    """Why a JSON value cannot be stored (a NUL, broken Unicode, nested too deeply), or None."""
    if depth > MAX_NESTING:
        return f"is nested deeper than {MAX_NESTING} levels"
    if isinstance(value, str):
        return text_fault(value)
    children: Iterable[object] = ()
    if isinstance(value, dict):
        children = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        children = value
    return next((fault for child in children if (fault := value_fault(child, depth + 1))), None)


def json_fault(value: object) -> str | None:
    """Why a value of Python's is none of JSON's, or None; what was read from JSON is one."""
    if isinstance(value, Mapping):
        odd = next((f"has a name that is no text: {name!r}" for name in value if not isinstance(name, str)), None)
        return odd or json_fault(list(value.values()))
    if isinstance(value, list):
        return next(filter(None, map(json_fault, value)), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"holds {value}, which JSON does not have"
    if value is None or isinstance(value, str | int | float):
        return None
    return f"holds a {type(value).__name__}, which JSON does not have; a text, a number or a list would do"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


class _Parser:
    """Of one stream's values."""

    def __init__(self) -> None:
        self._repeated = Repeated()
        self._decoder = json.JSONDecoder(
            parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=self._repeated
        )

    def item(self, number: int, text: str) -> Item | Skipped:
        """The value that the text is. Raises ValueError and RecursionError where it is none."""
        self._repeated.forget()
        return self._item(number, self._decoder.decode(text))

    def item_at(self, number: int, text: str, position: int) -> tuple[Item | Skipped, int]:
        """The value that begins there, and where it ends. Raises as `item`."""
        self._repeated.forget()
        value, end = self._decoder.raw_decode(text, position)
        return self._item(number, value), end

    def _item(self, number: int, value: object) -> Item | Skipped:
        fault = self._repeated.fault
        return Item(number, value) if fault is None else Skipped(number, fault)


def _fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.colno})"
    if isinstance(error, RecursionError):
        return "not valid JSON: nested too deeply"
    return f"not valid JSON: {error}"[:200]


def _line_item(number: int, raw: bytes, parser: _Parser) -> Item | Skipped:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Skipped(number, f"not valid UTF-8 (byte {error.start + 1} of the line)")
    try:
        return parser.item(number, text)
    except (ValueError, RecursionError) as error:
        return Skipped(number, _fault(error))


def _array_items(text: str, parser: _Parser) -> Iterator[Item | Skipped]:
    """The items of one JSON array. A syntax error ends it: there is no line to start afresh at."""
    position = _space_end(text, text.index("[") + 1)
    number = 0
    if text.startswith("]", position):
        position += 1
    else:
        while True:
            number += 1
            try:
                item, position = parser.item_at(number, text, position)
            except (ValueError, RecursionError) as error:
                yield Skipped(number, f"{_fault(error)}; the rest of the array was not read")
                return
            yield item
            position = _space_end(text, position)
            mark, position = text[position : position + 1], _space_end(text, position + 1)
            if mark == "]":
                break
            if mark != ",":
                yield Skipped(number + 1, "not valid JSON: expected ',' or ']'; the rest of the array was not read")
                return
    if _space_end(text, position) < len(text):
        yield Skipped(number + 1, "not valid JSON: there is more after the end of the array")


def _space_end(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _blocks(stream: Stream) -> Iterator[bytes]:
    """The stream in blocks of at least BLOCK_BYTES, but for the last: small chunks cost as little as large ones."""
    reader = getattr(stream, "read", None)
    chunks: Iterable[bytes] = iter(lambda: reader(BLOCK_BYTES), b"") if reader else stream
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _lines(first: bytes, blocks: Iterator[bytes], number: int, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their line feed; None for one longer than `limit` bytes, whose bytes are dropped."""
    held: list[bytes] = []
    size = 0

    def line(end: bytes) -> bytes | None:
        return None if size + len(end) > limit else b"".join([*held, end])

    for block in chain([first], blocks):
        *ended, rest = block.split(b"\n")
        for part in ended:
            yield number, line(part)
            held, size = [], 0
            number += 1
        size += len(rest)
        if size <= limit:
            held.append(rest)
        else:
            held.clear()
    if size:
        yield number, line(b"")
