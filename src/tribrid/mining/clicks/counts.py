"""A log counted: how often each document was shown for each query, where, and what was done with it.

A log repeats itself, so it is added up as it streams by. Queries and documents become numbers; what was shown waits
in flat buffers and is merged, now and then, into sorted arrays of counts with one row for each (query, document,
rank). What is kept grows with the distinct rows, never with the length of the log, and a row takes some 30 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.evidence import Evidence
from tribrid.mining.clicks.feedback import ACTS, Opinion
from tribrid.mining.clicks.voters import Voters
from tribrid.types import LoggedList

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

SHOWN, USED, ABOVE, BELOW, GIVEN_UP = range(5)
"""Columns of counts: impressions, those with a use, those passed over above a use and left alone next below one, and
those in lists that were given up."""


class _Numbers(dict[str, int]):
    """A number for each distinct string, in the order of their coming."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


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
    """Rows by ascending key, each key once, with the counts of all that was merged into it."""

    keys: Longs
    counts: NDArray[Any]
    joined: Callable[..., NDArray[Any]]

    def merge(self, keys: Longs, counts: NDArray[Any]) -> None:
        if not len(keys):
            return
        keys = np.concatenate([self.keys, keys])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        self.keys = keys[starts]
        del keys
        merged = np.empty((len(starts), counts.shape[1]), counts.dtype)
        for column in range(counts.shape[1]):  # one by one, to need the memory of one only
            merged[:, column] = self.joined(np.concatenate([self.counts[:, column], counts[:, column]])[order], starts)
        self.counts = merged


def _sums(columns: int) -> Sums:
    return Sums(np.empty(0, np.int64), np.empty((0, columns), np.uint32), np.add.reduceat)


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
        doc_ids: normalised query → number, and doc_id → number.
        cells: (query, document, rank) → counts in the columns above. A list that was reconstructed has none.
        acts: (query, document, act) → how often; `last_us` has the latest time of each.
        stated: (query, document) → what was said of it in so many words.
        first: (query, document) → query_id of the first list in which it was acted on.
        filtered: (query, document) that were acted on in a list of a search with a filter.
        clients: client_id → number.
        votes: query and document, and the number of the client that used it; a row for each use whose client is known.
        voters: who is behind the log.
    """

    def __init__(self, *, examined_below_click: int, voters: Voters | None = None) -> None:
        self.queries: list[tuple[str, str]] = []
        self.doc_ids = _Numbers()
        self.cells = _sums(5)
        self.acts = _sums(1)
        self.last_us = Sums(np.empty(0, np.int64), np.empty((0, 1), np.int64), np.maximum.reduceat)
        self.stated: dict[int, Stated] = {}
        self.first: dict[int, str] = {}
        self.filtered: set[int] = set()
        self.clients = _Numbers()
        self.votes: Longs = np.empty((0, 2), np.int64)
        self.voters = voters or Voters()
        self._examined_below_click = examined_below_click
        self._numbers = _Numbers()
        self._begin()

    def _begin(self) -> None:
        # Lists, though they hold objects: they are filled several times faster than arrays.
        self._docs: list[int] = []
        self._ranks: list[int] = []
        # Of each list: its query, its length, and the lowest rank used in it.
        self._of: list[int] = []
        self._lengths: list[int] = []
        self._lowest: list[int] = []
        # Rows of the documents acted on, and whether they were used or only touched.
        self._touched: list[int] = []
        self._used: list[bool] = []
        self._acts: list[int] = []
        self._acted_us: list[int] = []
        self._given_up: list[int] = []
        self._voted: list[int] = []

    def add(self, logged: LoggedList, found: Evidence) -> None:
        """Counts one list and what was done with it; who repeats himself is not looked into (see ballots.py)."""
        if logged.source == "reconstructed":
            if found.opinions:
                self._act(self._query(logged), logged, found)
            return
        docs, ranks = logged.doc_ids, logged.ranks
        if len(set(docs)) < len(docs):
            docs, ranks = _once(logged)
        start = len(self._docs)
        self._docs.extend(map(self.doc_ids.__getitem__, docs))
        self._ranks.extend(ranks)
        query = self._query(logged)
        self._of.append(query)
        self._lengths.append(len(docs))
        self._lowest.append(found.lowest)
        if found.opinions:
            self._act(query, logged, found)
            for doc_id, opinion in found.opinions.items():
                self._touched.append(start + docs.index(doc_id))
                self._used.append(not opinion.explicit and opinion.strength > 0)
        if len(self._docs) >= max(BUFFERED, len(self.cells.keys) // 4):
            self.merge()

    def give_up(self, logged: LoggedList, found: Evidence) -> None:
        """Counts a list that was added before as given up: so much the worse for what was not used in it."""
        query = self._query(logged) << DOC_BITS
        for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True):
            if doc_id not in found.opinions:
                self._given_up.append((query | self.doc_ids[doc_id]) << RANK_BITS | min(rank, MOST_RANKS))

    def number(self, query: str) -> int | None:
        """Of a query that was counted."""
        return self._numbers.get(normalise(query))

    def _query(self, logged: LoggedList) -> int:
        number = self._numbers[normalise(logged.query)]
        if number == len(self.queries):
            self.queries.append((logged.query, logged.query_id))
        return number

    def _act(self, query: int, logged: LoggedList, found: Evidence) -> None:
        flag = RECONSTRUCTED if logged.source == "reconstructed" else 0
        voter = self.voters.voter(logged)
        for doc_id, opinion in found.opinions.items():
            pair = query << DOC_BITS | self.doc_ids[doc_id]
            self.first.setdefault(pair, logged.query_id)
            if logged.filtered:
                self.filtered.add(pair)
            if opinion.explicit:
                said = self.stated.setdefault(pair, Stated())
                said.add((voter, 0 if voter is not None else len(said.said)), opinion)
                continue
            self._acts.append(pair << ACT_BITS | flag | ACTS.index(opinion.act))
            self._acted_us.append(opinion.at_us)
            if voter is not None and opinion.strength > 0:
                self._voted += (pair, self.clients[voter])

    def taken_cells(self) -> Cells:
        """What is in `cells`, which is the larger part of it all and is not kept any longer."""
        cells, self.cells = self.cells, _sums(5)
        return Cells(cells.keys, cells.counts)

    def merge(self) -> None:
        """Takes what waits into the counts."""
        rank = np.minimum(_longs(self._ranks), MOST_RANKS)
        lengths = _longs(self._lengths)
        counts = np.zeros((len(rank), 5), np.uint32)
        counts[:, SHOWN] = 1
        lowest = np.repeat(_longs(self._lowest), lengths)
        counts[:, ABOVE] = rank < lowest
        counts[:, BELOW] = (rank >= lowest) & (rank <= lowest + self._examined_below_click) & (lowest > 0)
        touched = _longs(self._touched)
        # What was rated, or opened and left, was neither used nor left alone: it counts by what was said of it.
        counts[touched] = 0
        counts[touched, SHOWN] = counts[touched, USED] = np.array(self._used, dtype=np.uint32)
        keys = (np.repeat(_longs(self._of), lengths) << DOC_BITS | _longs(self._docs)) << RANK_BITS | rank
        given_up = _longs(self._given_up)
        extra = np.zeros((len(given_up), 5), np.uint32)
        extra[:, GIVEN_UP] = 1
        self.cells.merge(np.concatenate([keys, given_up]), np.concatenate([counts, extra]))
        acts = _longs(self._acts)
        self.acts.merge(acts, np.ones((len(acts), 1), np.uint32))
        self.last_us.merge(acts, _longs(self._acted_us)[:, None])
        self.votes = np.concatenate([self.votes, _longs(self._voted).reshape(-1, 2)])
        self._begin()


def _longs(numbers: list[int]) -> Longs:
    return np.fromiter(numbers, np.int64, len(numbers))


def _once(logged: LoggedList) -> tuple[list[str], list[int]]:
    """A list with each document at its first place only."""
    best: dict[str, int] = {}
    for doc_id, rank in zip(logged.doc_ids, logged.ranks, strict=True):
        best[doc_id] = min(rank, best.get(doc_id, rank))
    return list(best), list(best.values())
