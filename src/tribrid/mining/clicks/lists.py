"""A block of a log in numbers: its queries, documents and clients, and what was done with its documents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.feedback import ACTS, OPENED, SATISFIED_DWELL_S, SHORT_CLICK, STRENGTHS, Opinion, opinion
from tribrid.mining.splits import content_words
from tribrid.types import Feedback, Signal
from tribrid.types.logblocks import SIGNALS, ActColumns, Flags, Floats, Ints, LogBlock, Texts

_CLICK, _DWELL = SIGNALS.index(Signal.CLICK), SIGNALS.index(Signal.DWELL)
_OPENED = ACTS.index(OPENED)
# The act that a signal is by itself; -1: it must be looked at.
_ALONE = np.array([ACTS.index(signal) if signal in ACTS else -1 for signal in SIGNALS])
_STRENGTHS = np.array([STRENGTHS[act] for act in ACTS])


class Numbers(dict[str, int]):
    """A number for each distinct string, in the order of their coming."""

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        self._names.append(text)
        return number

    def name(self, number: int) -> str:
        """The string of a number."""
        return self._names[number]

    def of(self, column: Texts, form: Callable[[str], str] = str) -> Ints:
        """The numbers of a column; -1 for none."""
        numbers = np.array([*(self[form(text)] for text in column.texts), -1], np.int64)
        return numbers[column.codes]


@dataclass(frozen=True, slots=True)
class Opinions:
    """What was done with documents of lists: a row for each list and document, in the order in which it was done.

    Attributes:
        row: which list. cell: where the document stands in all lists, its first place. doc: its number.
        strength, explicit, at_us: as of `Opinion`; act: place in ACTS, of those that are not explicit.
        stated: those that are, by their place.
    """

    row: Ints
    cell: Ints
    doc: Ints
    strength: Floats
    explicit: Flags
    act: Ints
    at_us: Ints
    stated: dict[int, Opinion]

    @property
    def used(self) -> Flags:
        """Where a document was used; what was rated counts by what was said of it."""
        return (self.strength > 0) & ~self.explicit


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists in the order of time. What is said of a list is (n,), what of a document in a list (cells,).

    Attributes:
        query: number of its normalised text. client: -1 where nobody says who it was.
        recorded: it was not reconstructed around what was done with it.
        starts, lengths: its documents.
        doc, rank: of the documents; `best` is the highest rank that a document has in its list.
        again: the document stood in the list before.
        acted, lowest, satisfied: whether anything was done; the lowest rank used, 0 for none; whether something was
            used and not left again at once.
    """

    block: LogBlock
    query: Ints
    client: Ints
    recorded: Flags
    starts: Ints
    lengths: Ints
    doc: Ints
    best: Ints
    again: Flags
    opinions: Opinions
    acted: Flags
    lowest: Ints
    satisfied: Flags

    def __len__(self) -> int:
        return len(self.query)

    @property
    def at_us(self) -> Ints:
        return self.block.at_us

    @property
    def rank(self) -> Ints:
        return self.block.ranks

    def untouched(self) -> Flags:
        """(cells,) whether nothing was done with the document."""
        left = np.ones(len(self.doc), np.bool_)
        left[self.opinions.cell] = False
        for cell in np.flatnonzero(self.again).tolist():
            row = int(np.searchsorted(self.starts + self.lengths, cell, "right"))
            start = int(self.starts[row])
            left[cell] = left[start + int(np.argmax(self.doc[start:cell] == self.doc[cell]))]
        return left


class Coder:
    """Numbers the texts of a log. Queries are numbered by what is the same in all spellings."""

    def __init__(self) -> None:
        self.queries, self.docs, self.clients = Numbers(), Numbers(), Numbers()
        self._words: list[int | None] = []

    def lists(self, block: LogBlock) -> Lists:
        """A block in numbers."""
        query, doc = self.queries.of(block.queries, normalise), self.docs.of(block.docs)
        starts, lengths = block.starts, np.diff(block.ends, prepend=0)
        best, again = _once(doc, block.ranks, starts, lengths)
        found = _opinions(block, self.docs.of(block.acts.docs), doc, starts, lengths)
        acted, satisfied, lowest = np.zeros((3, len(block)), np.int64)
        acted[found.row] = 1
        satisfied[found.row[found.strength > STRENGTHS[SHORT_CLICK]]] = 1
        used = found.strength > 0
        np.maximum.at(lowest, found.row[used], block.ranks[found.cell[used]])
        return Lists(
            block,
            query,
            self.client(block),
            np.array([source != "reconstructed" for source in block.sources.texts], np.bool_)[block.sources.codes],
            starts,
            lengths,
            doc,
            best,
            again,
            found,
            acted > 0,
            lowest,
            satisfied > 0,
        )

    def client(self, block: LogBlock) -> Ints:
        """(n,) the number of each list's client; -1 where nobody says who it was."""
        number = self.clients.of(block.clients)
        return np.where(number == self.clients.get("", -1), -1, number)

    def words(self, queries: Ints) -> Ints:
        """The same for all queries that say the same in another order."""
        numbers, place = np.unique(queries, return_inverse=True)
        self._words.extend([None] * (len(self.queries) - len(self._words)))
        for number in numbers.tolist():
            if self._words[number] is None:
                self._words[number] = hash(content_words(self.queries.name(number)))
        return np.array([self._words[number] for number in numbers.tolist()], np.int64)[place]


def _once(doc: Ints, rank: Ints, starts: Ints, lengths: Ints) -> tuple[Ints, Flags]:
    """(cells,) the highest rank that each document has in its list, and whether it stood there before."""
    best, again = rank, np.zeros(len(doc), np.bool_)
    for length in np.unique(lengths).tolist():
        rows = starts[lengths == length]
        ordered = np.sort(doc[rows[:, None] + np.arange(length)], axis=1)
        for start in rows[(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)].tolist():
            best = best if best is not rank else rank.copy()
            first: dict[int, int] = {}
            for cell in range(start, start + length):
                place = first.setdefault(int(doc[cell]), cell)
                again[cell] = place != cell
                best[place] = min(best[place], rank[cell])
    return best, again


def places(doc: Ints, of_list: Ints, starts: Ints, lengths: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Of the documents wanted, each in a list: those that stand there, by their place, and the first cell of each."""
    size = lengths[of_list]
    ends = np.cumsum(size)
    cells = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[of_list] - ends + size, size)
    owner = np.repeat(np.arange(len(wanted)), size)
    same = doc[cells] == wanted[owner]
    owner, cells = owner[same], cells[same]
    first = np.diff(owner, prepend=-1) != 0
    return owner[first], cells[first]


def _opinions(block: LogBlock, acted: Ints, doc: Ints, starts: Ints, lengths: Ints) -> Opinions:
    """As `opinion` says of each document's acts. Feedback on no document that was shown says nothing."""
    acts = block.acts
    act, cell = places(doc, acts.row, starts, lengths, acted)
    order = np.argsort(cell, kind="stable")
    act, cell = act[order], cell[order]
    begin = np.flatnonzero(np.diff(cell, prepend=-1))
    sizes = np.diff(begin, append=len(cell))
    signal, at_us = acts.signal[act], acts.at_us[act]
    alone = _ALONE[signal[begin]]
    unread = (signal[begin] == _DWELL) & ~(acts.value[act][begin] >= SATISFIED_DWELL_S)
    code = np.where(unread, _OPENED, alone)
    clicks = np.add.reduceat(signal == _CLICK, begin) == sizes if len(begin) else np.empty(0, np.bool_)
    latest = np.maximum.reduceat(at_us, begin) if len(begin) else at_us
    strength, explicit = _STRENGTHS[code], np.zeros(len(begin), np.bool_)
    said: dict[int, Opinion] = {}
    for place in np.flatnonzero(~clicks & ((sizes > 1) | (alone < 0))).tolist():
        found = opinion(_items(acts, act[begin[place] : begin[place] + sizes[place]]))
        strength[place], explicit[place], latest[place] = found.strength, found.explicit, found.at_us
        if found.explicit:
            said[place] = found
        else:
            code[place] = ACTS.index(found.act)
    first = np.argsort(act[begin])
    at = np.empty(len(first), np.int64)
    at[first] = np.arange(len(first))
    row, where = acts.row[act[begin]][first], cell[begin][first]
    stated = {int(at[place]): found for place, found in said.items()}
    return Opinions(row, where, doc[where], strength[first], explicit[first], code[first], latest[first], stated)


def _items(acts: ActColumns, places: Ints) -> list[Feedback]:
    return [
        Feedback("", SIGNALS[signal], None, None if np.isnan(value) else value, at_us)
        for signal, value, at_us in zip(
            acts.signal[places].tolist(), acts.value[places].tolist(), acts.at_us[places].tolist(), strict=True
        )
    ]
