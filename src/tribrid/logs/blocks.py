"""An NDJSON stream of UBI records, taken block by block: what is plain at once, every other line by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tribrid.corpus.jsonlines import Item, LineItems, Skipped, Stream, line_blocks
from tribrid.logs.causes import Evidence
from tribrid.logs.plain import Ignored, PlainUbi
from tribrid.logs.staging import Staged, line_of, seq_of

MAX_RECORD_BYTES = 4 << 20
_BLOCK_BYTES = 16 << 20
_LOOKED_AT = 100
"""Records that are read one by one whatever they are: what is said of a log that joins nothing is said by them."""
_LINE_FEED = 10
_BOM = b"\xef\xbb\xbf"


class Blocks:
    """Takes a stream of lines block by block: what is plain all at once, the others one by one."""

    def __init__(
        self, records: Staged, evidence: Evidence, take: Callable[[Item | Skipped, str], Skipped | None], source: str
    ) -> None:
        """`take`: takes one record. `source`: what the stream is named."""
        self._records, self._evidence, self._take_one, self._source = records, evidence, take, source
        self._plain = PlainUbi(records.columns)
        self._lines = LineItems(max_item_bytes=MAX_RECORD_BYTES)
        self._named: set[str] = set()

    def read(self, stream: Stream, tell: Callable[[int], None] | None) -> Iterator[Skipped]:
        """Take the stream; yields the records that are not taken, and why.

        Args:
            tell: is told how many lines were read, now and then.
        """
        blocks = line_blocks(stream, block_bytes=_BLOCK_BYTES, max_item_bytes=MAX_RECORD_BYTES)
        for found in blocks:
            if isinstance(found, Skipped):
                yield replace(found, source=self._source)
                continue
            number, block = found
            if number == 1:
                block = block.removeprefix(_BOM)
            yield from self._take(number, block)
            if tell is not None:
                tell(number + block.count(b"\n"))

    def _take(self, number: int, block: bytes) -> Iterator[Skipped]:
        # The first tell what kind of log it is; the rest may be told from the first of its kind.
        first = 0
        while first < len(block) and self._evidence.sampled < _LOOKED_AT:
            end = block.find(b"\n", first) + 1 or len(block)
            yield from self._one(number, block[first:end])
            number, first = number + 1, end
        block = block[first:]
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED) + 1
        if block and not block.endswith(b"\n"):
            ends = np.append(ends, len(block))
        if not _is_utf8(block):
            left: Iterable[int] = range(len(ends))
        elif block:
            yield from self._at_once(number, block, ends)
            left = self._left
        else:
            return
        starts = np.concatenate([[0], ends])
        for place in left:
            yield from self._one(number + place, block[starts[place] : starts[place + 1]])

    def _at_once(self, number: int, block: bytes, ends: Any) -> Iterator[Skipped]:
        records = self._records
        taken = self._plain.take(block, ends, seq_of(records.streams - 1, number))
        records.count += taken.queries + taken.events
        self._evidence.counted(taken.queries, taken.events)
        self._left = taken.left
        for reason, ignored in taken.ignored.items():
            yield from self._ignored(reason, ignored)

    def _ignored(self, reason: str, ignored: Ignored) -> Iterator[Skipped]:
        """The first lines of a reason one by one, all others together."""
        lines = [line_of(seq) for seq in ignored.lines]
        named, rest = (lines[:-1], ignored.count - len(lines) + 1) if reason not in self._named else ([], ignored.count)
        self._named.add(reason)
        for line in named:
            yield Skipped(line, reason, kind="ignored", source=self._source)
        yield Skipped(lines[len(named)], reason, kind="ignored", source=self._source, times=rest)

    def _one(self, number: int, raw: bytes) -> Iterator[Skipped]:
        item = self._lines.item(number, raw.removesuffix(b"\n"))
        skipped = None if item is None else self._take_one(item, self._source)
        if skipped is not None:
            yield skipped


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
