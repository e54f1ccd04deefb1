"""A log counted: how often each document was shown for each query, where, and what was done with it.

A log repeats itself, so it is added up as it streams by. Queries and documents become numbers; what was shown waits
in flat buffers and is merged, now and then, into sorted arrays of counts with one row for each (query, document,
rank). What is kept grows with the distinct rows, never with the length of the log, and a row takes some 30 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.ballots import Ballot
from tribrid.mining.clicks.feedback import Opinion
from tribrid.mining.clicks.lists import Coder, Lists, Numbers
from tribrid.mining.clicks.reformulations import Left
from tribrid.mining.clicks.voters import NOBODY, Voters
from tribrid.types.logblocks import Flags

Longs = NDArray[np.int64]
Author = tuple[str | None, int]
"""A client; or None, and a number for each of those of whom nothing is known."""

RANK_BITS, DOC_BITS = 8, 28
MOST_RANKS = 100
"""Ranks below this one count as this one: nobody looks there anyway."""
DOC_MASK, RANK_MASK = (1 << DOC_BITS) - 1, (1 << RANK_BITS) - 1
ACT_BITS = 4
RECONSTRUCTED = 1 << (ACT_BITS - 1)
"""Set in the code of an act in a list that was reconstructed around it."""
BUFFERED = 1 << 19
"""Shown documents that wait, at least, until they are merged."""

_UNKNOWN, _NOBODY = -1, -2
"""Beside the numbers of clients: nobody knows who it was, and all of those together."""

SHOWN, USED, ABOVE, BELOW, GIVEN_UP = range(5)
"""Columns of counts: impressions, those with a use, those passed over above a use and left alone next below one, and
those in lists that were given up."""


@dataclass(slots=True)
class Stated:
    """What was said of a document in so many words: each user's last word, by who said it."""

    said: dict[Author, Opinion] = field(default_factory=dict)

    def add(self, author: Author, opinion: Opinion) -> None:
        before = self.said.get(author)
        if before is None or opinion.at_us >= before.at_us:
            self.said[author] = opinion

    @property
    def acts(self) -> Counter[str]:
        return Counter(opinion.act for opinion in self.said.values())

    @property
    def last_us(self) -> int:
        return max(opinion.at_us for opinion in self.said.values())

    @property
    def standing(self) -> float:
        """-1..1, the mean: a middling rating has strength 0 and still dilutes the rest, as a considered opinion."""
        return sum(opinion.strength for opinion in self.said.values()) / len(self.said)

    @property
    def weight(self) -> float:
        """How sure the standing's sign is, 0..1: grows with the evidence, shrinks with its disagreement."""
        return (1 - prod(1 - abs(opinion.strength) for opinion in self.said.values())) * abs(self.standing)


@dataclass(slots=True)
class Sums:
    """Rows by ascending key, each key once, with the counts of all that was merged into it by `joined`."""

    keys: Longs
    counts: NDArray[Any]
    joined: np.ufunc

    def merge(self, keys: Longs, counts: NDArray[Any]) -> None:
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
        keys, counts = keys[starts], self.joined.reduceat(counts[order], starts, axis=0, dtype=self.counts.dtype)
        place = np.searchsorted(self.keys, keys)
        there = np.zeros(len(keys), np.bool_)
        inside = place < len(self.keys)
        there[inside] = self.keys[place[inside]] == keys[inside]
        self.counts[place[there]] = self.joined(self.counts[place[there]], counts[there])
        self.keys = np.insert(self.keys, place[~there], keys[~there])
        self.counts = np.insert(self.counts, place[~there], counts[~there], axis=0)


def _sums(columns: int) -> Sums:
    return Sums(np.empty(0, np.int64), np.empty((0, columns), np.uint32), np.add)


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts with a row for each (query, document, rank)."""

    keys: Longs
    counts: NDArray[Any]

    @property
    def pair(self) -> Longs:
        return self.keys >> RANK_BITS

    @property
    def rank(self) -> Longs:
        return self.keys & RANK_MASK

    def of(self, queries: NDArray[np.bool_]) -> Cells:
        """The rows of the queries, by number, that are marked."""
        kept = queries[self.keys >> (DOC_BITS + RANK_BITS)]
        return Cells(self.keys[kept], self.counts[kept])

    def column(self, column: int) -> NDArray[np.float64]:
        return self.counts[:, column].astype(np.float64)


class LogCounts:
    """Adds lists up. Read what came of it only after `merge`.

    Attributes:
        queries: text, as first asked, and query_id of its first list; by the query's number.
        doc_ids: doc_id → number.
        cells: (query, document, rank) → counts in the columns above. A list that was reconstructed has none.
        acts: (query, document, act) → how often; `last_us` has the latest time of each.
        stated: (query, document) → what was said of it in so many words.
        first: (query, document) → query_id of the first list in which it was acted on.
        filtered: (query, document) that were acted on in a list of a search with a filter.
        clients: client_id → number.
        votes: query and document, and the number of the client that used it; a row for each use whose client is known.
        voters: who is behind the log.
    """

    def __init__(self, *, examined_below_click: int, voters: Voters | None = None, coder: Coder | None = None) -> None:
        self.queries: list[tuple[str, str]] = []
        self.doc_ids = Numbers()
        self.cells = _sums(5)
        self.acts = _sums(1)
        self.last_us = Sums(np.empty(0, np.int64), np.empty((0, 1), np.int64), np.maximum)
        self.stated: dict[int, Stated] = {}
        self.first: dict[int, str] = {}
        self.filtered: set[int] = set()
        self.clients = Numbers()
        self.voters = voters or Voters()
        self.coder = coder or Coder()
        self._examined_below_click = examined_below_click
        # The number here of each of the coder's.
        self._query_number = self._doc_number = np.empty(0, np.int64)
        self._waiting: list[tuple[Longs, NDArray[Any]]] = []
        self._rows = 0
        self._votes: list[Longs] = []

    @property
    def votes(self) -> Longs:
        return np.concatenate([np.empty((0, 2), np.int64), *self._votes])

    def add(self, lists: Lists, ballot: Ballot, left: Left) -> None:
        """Counts lists, what was done with them, and those that were given up for one of them: so much the worse for
        what was not used in those.
        """
        done = lists.opinions
        # Of a list that does not count whole, the documents alone that somebody acted on for the first time.
        counted = ballot.whole & lists.recorded
        touched = ballot.opinions & lists.recorded[done.row]
        cells = np.repeat(counted, lists.lengths)
        cells[done.cell[touched]] = True
        cells &= ~lists.again
        counted[done.row[ballot.opinions]] = True
        self._number(lists, counted, cells, left, np.flatnonzero(ballot.opinions & ~touched))
        self._show(lists, ballot.whole, cells, touched)
        self._act(lists, ballot.opinions)
        lengths = np.diff(left.ends, prepend=0)
        query = np.repeat(self._query_number[left.query], lengths)
        given_up = np.zeros((len(left.doc), 5), np.uint32)
        given_up[:, GIVEN_UP] = 1
        self._wait(_keys(query, self._doc_number[left.doc], np.minimum(left.rank, MOST_RANKS)), given_up)
        if self._rows >= max(BUFFERED, len(self.cells.keys) // 4):
            self.merge()

    def number(self, query: str) -> int | None:
        """Of a query that was counted."""
        code = self.coder.queries.get(normalise(query))
        number = -1 if code is None or code >= len(self._query_number) else int(self._query_number[code])
        return None if number < 0 else number

    def _number(self, lists: Lists, counted: Flags, cells: Flags, left: Left, rebuilt: Longs) -> None:
        """Numbers what was not counted before, in the order in which it is."""
        rows, block = np.flatnonzero(counted), lists.block
        queries = [lists.query[rows], left.query]
        self._query_number, new = _numbered(
            self._query_number, len(self.coder.queries), queries, [2 * rows, 2 * left.by + 1]
        )
        for place in new.tolist():
            if place < len(rows):
                row = int(rows[place])
                self.queries.append((block.queries.texts[int(block.queries.codes[row])], block.query_ids[row]))
            else:
                self.queries.append(left.asked[place - len(rows)])
        done, row_of = lists.opinions, np.repeat(np.arange(len(lists)), lists.lengths)
        given_up = np.repeat(left.by, np.diff(left.ends, prepend=0))
        docs = [lists.doc[cells], done.doc[rebuilt], left.doc]
        order = [2 * row_of[cells], 2 * done.row[rebuilt], 2 * given_up + 1]
        self._doc_number, new = _numbered(self._doc_number, len(self.coder.docs), docs, order)
        for code in np.concatenate(docs)[new].tolist():
            self.doc_ids[self.coder.docs.name(code)]

    def _show(self, lists: Lists, whole: Flags, cells: Flags, touched: Flags) -> None:
        """Counts what was shown. `touched`: the opinions that count, of lists that were recorded."""
        done, row = lists.opinions, np.repeat(np.arange(len(lists)), lists.lengths)
        rank = np.minimum(lists.best, MOST_RANKS)
        lowest = np.where(whole, lists.lowest, 0)[row]
        counts = np.zeros((len(rank), 5), np.uint32)
        counts[:, SHOWN] = 1
        counts[:, ABOVE] = rank < lowest
        counts[:, BELOW] = (rank >= lowest) & (rank <= lowest + self._examined_below_click) & (lowest > 0)
        # What was rated, or opened and left, was neither used nor left alone: it counts by what was said of it.
        at = done.cell[touched]
        counts[at] = 0
        counts[at, SHOWN] = counts[at, USED] = done.used[touched]
        query = self._query_number[lists.query][row[cells]]
        self._wait(_keys(query, self._doc_number[lists.doc[cells]], rank[cells]), counts[cells])

    def _act(self, lists: Lists, counted: Flags) -> None:
        """Counts what was done: the opinions that count."""
        done, block = lists.opinions, lists.block
        at = np.flatnonzero(counted)
        row = done.row[at]
        pair = self._query_number[lists.query[row]] << DOC_BITS | self._doc_number[done.doc[at]]
        pairs, first = np.unique(pair, return_index=True)
        for number, place in zip(pairs.tolist(), row[first].tolist(), strict=True):
            if number not in self.first:
                self.first[number] = block.query_ids[place]
        self.filtered.update(pair[block.filtered[row]].tolist())
        voter = np.where(lists.client[row] < 0, _NOBODY if self.voters.crowd else _UNKNOWN, lists.client[row])
        for place in np.flatnonzero(done.explicit[at]).tolist():
            said = self.stated.setdefault(int(pair[place]), Stated())
            who = self._name(int(voter[place]))
            said.add((who, 0 if who is not None else len(said.said)), done.stated[int(at[place])])
        implicit = ~done.explicit[at]
        flag = np.where(lists.recorded[row], 0, RECONSTRUCTED)
        acts = (pair << ACT_BITS | flag | done.act[at])[implicit]
        self.acts.merge(acts, np.ones((len(acts), 1), np.uint32))
        self.last_us.merge(acts, done.at_us[at][implicit][:, None])
        voted = done.used[at] & (voter != _UNKNOWN)
        codes, first, place = np.unique(voter[voted], return_index=True, return_inverse=True)
        for code in codes[np.argsort(first)].tolist():
            self.clients[self._name(code) or ""]
        number = np.array([self.clients[self._name(code) or ""] for code in codes.tolist()], np.int64)
        self._votes.append(np.stack([pair[voted], number[place]], axis=1))

    def _name(self, voter: int) -> str | None:
        return None if voter == _UNKNOWN else NOBODY if voter == _NOBODY else self.coder.clients.name(voter)

    def _wait(self, keys: Longs, counts: NDArray[Any]) -> None:
        self._waiting.append((keys, counts))
        self._rows += len(keys)

    def merge(self) -> None:
        """Takes what waits into the counts."""
        if self._waiting:
            keys, counts = (np.concatenate(of) for of in zip(*self._waiting, strict=True))
            self._waiting, self._rows = [], 0
            self.cells.merge(keys, counts)

    def taken_cells(self) -> Cells:
        """What is in `cells`, which is the larger part of it all and is not kept any longer."""
        cells, self.cells = self.cells, _sums(5)
        return Cells(cells.keys, cells.counts)


def _keys(query: Longs, doc: Longs, rank: Longs) -> Longs:
    found: Longs = (query << DOC_BITS | doc) << RANK_BITS | rank
    return found


def _numbered(numbers: Longs, size: int, parts: Sequence[Longs], order: Sequence[Longs]) -> tuple[Longs, Longs]:
    """Gives each code of all parts that has no number the next one, in the order said.

    Args:
        numbers: by code, -1 for none. `size`: how many codes there are.

    Returns:
        The numbers, and where in all parts together the new ones stand.
    """
    known = int(numbers.max(initial=-1)) + 1
    numbers = np.concatenate([numbers, np.full(size - len(numbers), -1)])
    codes = np.concatenate(parts)
    new = np.flatnonzero(numbers[codes] < 0)
    new = new[np.argsort(np.concatenate(order)[new], kind="stable")]
    new = new[np.sort(np.unique(codes[new], return_index=True)[1])]
    numbers[codes[new]] = np.arange(known, known + len(new))
    return numbers, new
