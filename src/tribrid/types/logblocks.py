"""Many logged lists at once, as columns: what mining counts, which takes too long list by list."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribrid.types import Feedback, LoggedList, Signal

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SIGNALS = tuple(Signal)
BLOCK_LISTS = 1 << 16
"""Lists at a time: enough that numpy's time is spent on numbers, few enough for some 50 MB of them."""
_GATHERED = 1 << 12
"""Lists that are gathered one by one for a block: each is some hundred objects of Python's."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: `texts[code]` for each code, each text once; -1 for none."""

    texts: Sequence[str]
    codes: Ints

    @staticmethod
    def of(values: Iterable[str | None]) -> Texts:
        numbers: dict[str, int] = {}
        codes = [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in values]
        return Texts(list(numbers), np.array(codes, np.int64))

    def kept(self, rows: Flags | Ints | slice) -> Texts:
        return Texts(self.texts, self.codes[rows])

    def __iter__(self) -> Iterator[Any]:
        texts = [*self.texts, None]  # what -1 finds
        return map(texts.__getitem__, self.codes.tolist())


@dataclass(frozen=True, slots=True)
class ActColumns:
    """What was done with the lists of a block, by list and then in the order of time.

    Attributes:
        row: which list of the block.
        signal: place in SIGNALS.
        docs: none for the list as a whole.
        value: NaN for none.
    """

    row: Ints
    signal: Ints
    docs: Texts
    value: Floats
    at_us: Ints

    def kept(self, acts: Flags | slice, row: Ints) -> ActColumns:
        """Only these acts, of lists that are counted anew: `row`, of each of them."""
        return ActColumns(row, self.signal[acts], self.docs.kept(acts), self.value[acts], self.at_us[acts])


@dataclass(frozen=True, slots=True)
class LogBlock:
    """Some lists in the order of time; as `LoggedList` says, one below the other.

    Attributes:
        docs: the documents of the first list, then those of the second, ...; `ranks` likewise.
        ends: of each list, the place after its last document.
    """

    query_ids: Sequence[str]
    queries: Texts
    clients: Texts
    docs: Texts
    ranks: Ints
    ends: Ints
    at_us: Ints
    sources: Texts
    filtered: Flags
    acts: ActColumns

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def starts(self) -> Ints:
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]

    def __getitem__(self, lists: slice) -> LogBlock:
        first, last, _ = lists.indices(len(self))
        cells = slice(int(self.ends[first - 1]) if first else 0, int(self.ends[last - 1]) if last else 0)
        acts = slice(*np.searchsorted(self.acts.row, [first, last]).tolist())
        return LogBlock(
            self.query_ids[first:last],
            self.queries.kept(lists),
            self.clients.kept(lists),
            self.docs.kept(cells),
            self.ranks[cells],
            self.ends[lists] - cells.start,
            self.at_us[lists],
            self.sources.kept(lists),
            self.filtered[lists],
            self.acts.kept(acts, self.acts.row[acts] - first),
        )

    def where(self, rows: Flags) -> LogBlock:
        """Only these lists."""
        if rows.all():
            return self
        lengths = np.diff(self.ends, prepend=0)
        cells, number = np.repeat(rows, lengths), np.cumsum(rows) - 1
        acts = rows[self.acts.row]
        return LogBlock(
            list(_marked(self.query_ids, rows)),
            self.queries.kept(rows),
            self.clients.kept(rows),
            self.docs.kept(cells),
            self.ranks[cells],
            np.cumsum(lengths[rows]),
            self.at_us[rows],
            self.sources.kept(rows),
            self.filtered[rows],
            self.acts.kept(acts, number[self.acts.row[acts]]),
        )

    def lists(self) -> Iterator[LoggedList]:
        """One by one."""
        docs, ranks, ends, acts = list(self.docs), self.ranks.tolist(), self.ends.tolist(), self._feedback()
        starts = np.searchsorted(self.acts.row, np.arange(len(self) + 1)).tolist()
        columns = zip(
            self.query_ids,
            self.queries,
            [0, *ends],
            ends,
            starts,
            starts[1:],
            self.at_us.tolist(),
            self.sources,
            self.clients,
            self.filtered.tolist(),
            strict=False,
        )
        for query_id, query, start, end, first, last, *rest in columns:
            yield LoggedList(query_id, query, docs[start:end], ranks[start:end], acts[first:last] or (), *rest)

    def _feedback(self) -> list[Feedback]:
        acts = self.acts
        query_ids = map(self.query_ids.__getitem__, acts.row.tolist())
        signals = map(SIGNALS.__getitem__, acts.signal.tolist())
        values = [None if math.isnan(value) else value for value in acts.value.tolist()]
        return list(map(Feedback, query_ids, signals, acts.docs, values, acts.at_us.tolist()))


def joined(blocks: Sequence[LogBlock]) -> LogBlock:
    """The lists of all of them in the order of time; of the same time, in the order of the blocks."""
    lengths = np.concatenate([np.diff(block.ends, prepend=0) for block in blocks])
    first = np.cumsum([0, *map(len, blocks)])
    at_us = _below(blocks, "at_us")
    order = np.argsort(at_us, kind="stable")
    ends = np.cumsum(lengths[order])
    # Of each document in its new place: where it stood.
    starts = np.cumsum(lengths) - lengths
    cells = np.arange(lengths.sum()) + np.repeat(starts[order] - ends + lengths[order], lengths[order])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    acts = list(map(attrgetter("acts"), blocks))
    row = place[np.concatenate([of.row + start for of, start in zip(acts, first, strict=False)])]
    kept = np.argsort(row, kind="stable")
    done = ActColumns(
        row[kept],
        _below(acts, "signal")[kept],
        _texts_below(acts, "docs").kept(kept),
        _below(acts, "value")[kept],
        _below(acts, "at_us")[kept],
    )
    query_ids = list(chain.from_iterable(map(attrgetter("query_ids"), blocks)))
    return LogBlock(
        list(map(query_ids.__getitem__, order.tolist())),
        _texts_below(blocks, "queries").kept(order),
        _texts_below(blocks, "clients").kept(order),
        _texts_below(blocks, "docs").kept(cells),
        _below(blocks, "ranks")[cells],
        ends,
        at_us[order],
        _texts_below(blocks, "sources").kept(order),
        _below(blocks, "filtered")[order],
        done,
    )


def _below(parts: Sequence[LogBlock] | Sequence[ActColumns], name: str) -> Any:
    return np.concatenate(list(map(attrgetter(name), parts)))


def _texts_below(parts: Sequence[LogBlock] | Sequence[ActColumns], name: str) -> Texts:
    return _together(list(map(attrgetter(name), parts)))


def _together(columns: Sequence[Texts]) -> Texts:
    """One below the other."""
    numbers: dict[str, int] = {}
    codes = []
    for column in columns:
        used = np.unique(column.codes[column.codes >= 0])
        of = np.full(len(column.texts) + 1, -1, np.int64)  # the last one is what -1 finds
        of[used] = [numbers.setdefault(column.texts[code], len(numbers)) for code in used.tolist()]
        codes.append(of[column.codes])
    return Texts(list(numbers), np.concatenate(codes))


Log = Iterable[LoggedList | LogBlock]
"""Lists of a log, one by one or many as columns."""


def block_of(lists: Sequence[LoggedList]) -> LogBlock:
    """Lists as columns."""
    query_ids, queries, docs, ranks, feedback, at_us, sources, clients, filtered = zip(*lists, strict=True)
    return LogBlock(
        query_ids,
        Texts.of(queries),
        Texts.of(clients),
        Texts.of(chain.from_iterable(docs)),
        np.fromiter(chain.from_iterable(ranks), np.int64),
        np.cumsum(list(map(len, docs)), dtype=np.int64),
        np.array(at_us, np.int64),
        Texts.of(sources),
        np.array(filtered, np.bool_),
        _columns_of(feedback),
    )


def _columns_of(feedback: Sequence[Sequence[Feedback]]) -> ActColumns:
    """Of each list what was done with it."""
    acts = list(chain.from_iterable(feedback))
    return ActColumns(
        np.repeat(np.arange(len(feedback)), list(map(len, feedback))),
        np.array([SIGNALS.index(act.signal) for act in acts], np.int64),
        Texts.of(map(attrgetter("doc_id"), acts)),
        np.array([np.nan if act.value is None else act.value for act in acts], np.float64),
        np.fromiter(map(attrgetter("created_us"), acts), np.int64),
    )


def in_blocks(log: Log) -> Iterator[LogBlock]:
    """A log as columns, in its order."""
    lists: list[LoggedList] = []
    for one in log:
        if isinstance(one, LogBlock):
            if lists:
                yield block_of(lists)
                lists = []
            yield one
        else:
            lists.append(one)
            if len(lists) >= _GATHERED:
                yield block_of(lists)
                lists = []
    if lists:
        yield block_of(lists)


def _marked(values: Sequence[str], rows: Flags) -> Iterator[str]:
    return (values[row] for row in np.flatnonzero(rows).tolist())
