"""The lists of segments as columns, in the order of time, also beside others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import numpy as np

from tribrid.store.segments import SOURCE, Reading
from tribrid.types import FIRST_RANK, Signal
from tribrid.types.logblocks import BLOCK_LISTS, SIGNALS, ActColumns, Ints, LogBlock, Texts, joined


class Span(NamedTuple):
    """Lists in the order of time, and from when to when they are."""

    first_us: int
    last_us: int
    blocks: Iterator[LogBlock]


def in_time(spans: Sequence[Span]) -> Iterator[LogBlock]:
    """All of them in the order of time; what does not overlap is only read one after the other."""
    together: list[Span] = []
    for span in sorted(spans, key=attrgetter("first_us")):
        if together and span.first_us > max(other.last_us for other in together):
            yield from _merged([other.blocks for other in together])
            together = []
        together.append(span)
    yield from _merged([span.blocks for span in together])


def _merged(streams: Sequence[Iterator[LogBlock]]) -> Iterator[LogBlock]:
    """Of lists of the same time, those of the stream that stands first come first."""
    left = {place: block for place, stream in enumerate(streams) if (block := next(stream, None))}
    while len(left) > 1:
        # Nothing that is still to come is before the earliest end of these blocks.
        until, ends_first = min((int(block.at_us[-1]), place) for place, block in left.items())
        ready = []
        for place, block in sorted(left.items()):
            side: Literal["left", "right"] = "right" if place <= ends_first else "left"
            size = int(np.searchsorted(block.at_us, until, side))
            ready.append(block[:size])
            rest = block[size:] if size < len(block) else next(streams[place], None)
            if rest is None:
                del left[place]
            else:
                left[place] = rest
        yield joined(ready)
    for place, block in left.items():
        yield block
        yield from streams[place]


def blocks(reading: Reading, *, named: bool, since_us: int | None, until_us: int | None) -> Iterator[LogBlock]:
    """The lists of one segment in the order of time, each with its feedback."""
    these = ["true", *(["client_id IS NOT NULL"] if named else [])]
    these += [] if since_us is None else [f"created_us >= {since_us:d}"]
    these += [] if until_us is None else [f"created_us < {until_us:d}"]
    columns = "list_number, query_id, query, doc_ids, ranks, created_us, client_id"
    # In the order of the file, which is that of time.
    condition = " AND ".join(these)
    statement = f"SELECT {columns} FROM lists WHERE {condition}"
    if not reading.columns.rows(f"SELECT list_number FROM lists WHERE {condition} LIMIT 1"):
        return
    numbers, acts = _acts(reading)
    for batch in reading.columns.batches(statement, rows=BLOCK_LISTS):
        yield _block(batch, numbers, acts)


def _acts(reading: Reading) -> tuple[Ints, ActColumns]:
    """All that was done with the lists of one segment: the number of the list, and what."""
    statement = "SELECT list_number, created_us, act, signal, doc_id, value FROM acts"
    table = reading.columns.whole(statement)
    number, at_us, act = (table.column(place).to_numpy() for place in range(3))
    # In order already, but for what came late.
    order = np.lexsort((act, at_us, number))
    signals, docs = _texts(table.column(3)), _texts(table.column(4))
    known = np.array([SIGNALS.index(Signal(text)) for text in signals.texts], np.int64)
    value = table.column(5).fill_null(math.nan).to_numpy()
    number = number.astype(np.int64)[order]
    return number, ActColumns(number, known[signals.codes[order]], docs.kept(order), value[order], at_us[order])


def _block(batch: Any, numbers: Ints, acts: ActColumns) -> LogBlock:
    own = batch.column(0).to_numpy().astype(np.int64)
    docs, ranks = batch.column(3), batch.column(4)
    lengths = docs.value_lengths().to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    places = np.arange(FIRST_RANK, len(docs.flatten()) + FIRST_RANK) - np.repeat(ends - lengths, lengths)
    given = ~ranks.is_null().to_numpy(zero_copy_only=False)
    places[np.repeat(given, lengths)] = ranks.flatten().to_numpy()
    first, last = np.searchsorted(numbers, [own[0], own[-1] + 1])
    row = np.searchsorted(own, numbers[first:last])
    there = np.zeros(len(numbers), np.bool_)
    there[first:last] = own[row] == numbers[first:last]
    return LogBlock(
        batch.column(1).to_pylist(),
        _texts(batch.column(2)),
        _texts(batch.column(6)),
        _texts(docs.flatten()),
        places,
        ends,
        batch.column(5).to_numpy(),
        Texts([SOURCE], np.zeros(len(own), np.int64)),
        np.zeros(len(own), np.bool_),
        acts.kept(there, row[there[first:last]]),
    )


def _texts(column: Any) -> Texts:
    coded = column.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Texts(coded.dictionary.to_pylist(), codes)
