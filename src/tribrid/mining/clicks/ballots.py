"""One client, query and document: one vote, however often it is cast.

What a client did not choose is a vote as well, and repeated without end it would talk down what others found. So of a
client's lists for one query, the first in which nothing was done counts, and the first in which something was; of all
others only what it did with documents that it had not chosen before.

Without a client_id nothing can tell a person who repeats himself from another one, except time: the same list, shown
again within seconds, is taken for the same person's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tribrid.mining.clicks.lists import Coder, Lists
from tribrid.mining.clicks.voters import Voters
from tribrid.types.logblocks import Flags, Ints

SECONDS_US = 10_000_000
"""Time within which an anonymous list that is shown again is a repeat, microseconds."""

_SILENT, _WHOLE, _GAVE_UP = -1, -2, -3  # beside the numbers of documents
_NOBODY = 1 << 40
"""The number of the client that all lists without one count as, beside others."""

Votes = NDArray[np.uint64]


class Ballot(NamedTuple):
    """What of some lists is no repetition: the lists that count whole (n,), and the opinions that count (m,)."""

    whole: Flags
    opinions: Flags


class Ballots:
    """Remembers who voted on what."""

    def __init__(self, voters: Voters, coder: Coder) -> None:
        self._crowd, self._coder = voters.crowd, coder
        self._cast = _Cast()
        # Of the lists that nobody knows who saw: since when, and the votes in it.
        self._recent: dict[Any, tuple[int, set[int]]] = {}
        self._last_us = -(2**62)

    def counted(self, lists: Lists) -> Ballot:
        """What of these lists counts; they come after those before."""
        done = lists.opinions
        ballot = Ballot(np.zeros(len(lists), np.bool_), np.zeros(len(done.row), np.bool_))
        known = lists.client >= 0
        if self._crowd:
            known[:] = True
        self._of_voters(lists, known, ballot)
        if not known.all():
            self._of_nobody(lists, ~known, ballot)
        ballot.opinions[:] |= ballot.whole[done.row]
        return ballot

    def gives_up(self, clients: Ints, queries: Ints) -> Flags:
        """Whether each client has not given up the query before."""
        return self._cast.first(_mixed(self._box(clients, queries), _GAVE_UP))

    def _box(self, clients: Ints, queries: Ints) -> Votes:
        return _mixed(np.where(clients < 0, _NOBODY, clients), self._coder.words(queries))

    def _of_voters(self, lists: Lists, known: Flags, ballot: Ballot) -> None:
        rows, cast, done = np.flatnonzero(known), self._cast, lists.opinions
        box = np.zeros(len(lists), np.uint64)
        box[rows] = self._box(lists.client[rows], lists.query[rows])
        theirs = np.flatnonzero(known[done.row])
        votes = _mixed(box[done.row[theirs]], done.doc[theirs])
        # Ratings are told apart by who gave them where they are added up: the last word holds, not the first.
        ballot.opinions[theirs] = cast.first(votes) | done.explicit[theirs]
        acted, silent = rows[lists.acted[rows]], rows[~lists.acted[rows]]
        wholes, voided = _mixed(box[acted], _WHOLE), _mixed(box[silent], _WHOLE)
        late = cast.has(voided) | _after(voided, silent, wholes, acted)
        ballot.whole[acted] = cast.first(wholes)
        ballot.whole[silent] = cast.first(_mixed(box[silent], _SILENT)) & ~late

    def _of_nobody(self, lists: Lists, nobody: Flags, ballot: Ballot) -> None:
        """Whatever may be a repeat is looked at list by list, all else counts."""
        rows = np.flatnonzero(nobody)
        ballot.whole[rows] = True
        bounds = np.searchsorted(lists.opinions.row, np.arange(len(lists) + 1))
        words = self._coder.words
        looked = rows[self._doubtful(lists, rows)]
        for row, said in zip(looked.tolist(), words(lists.query[looked]).tolist(), strict=True):
            start = int(lists.starts[row])
            shown = (said, *lists.doc[start : start + int(lists.lengths[row])].tolist())
            at_us = int(lists.at_us[row])
            began_us, cast = self._recent.get(shown, (at_us, None))
            if cast is None or not 0 <= at_us - began_us <= SECONDS_US:
                cast = set()
                self._recent[shown] = at_us, cast
            elif at_us == began_us:  # a log that knows no seconds
                continue
            ballot.whole[row] = _vote(lists, slice(int(bounds[row]), int(bounds[row + 1])), cast, ballot)
        self._last_us = max(self._last_us, int(lists.at_us.max()))
        self._recent = {shown: seen for shown, seen in self._recent.items() if self._last_us - seen[0] <= SECONDS_US}

    def _doubtful(self, lists: Lists, rows: Ints) -> Flags:
        """Which of these lists were shown before or will be again within the time, or may be in the next block."""
        at_us = lists.at_us[rows]
        if self._last_us > at_us[0] or (np.diff(at_us) < 0).any():  # not in the order of time
            return np.ones(len(rows), np.bool_)
        key = _shown(lists)[rows]
        order = np.argsort(key, kind="stable")
        close = (np.diff(key[order]) == 0) & (np.diff(at_us[order]) <= SECONDS_US)
        doubtful: Flags = (at_us - self._last_us <= SECONDS_US) | (lists.at_us[-1] - at_us <= SECONDS_US)
        doubtful[order[1:][close]] = doubtful[order[:-1][close]] = True
        return doubtful


def _vote(lists: Lists, own: slice, cast: set[int], ballot: Ballot) -> bool:
    """Whether a list counts whole, beside the votes that were cast; marks those of its opinions that count."""
    docs, explicit = lists.opinions.doc[own].tolist(), lists.opinions.explicit[own].tolist()
    if not docs:
        fresh = _SILENT not in cast and _WHOLE not in cast
        cast.add(_SILENT)
        return fresh
    ballot.opinions[own] = [doc not in cast or said for doc, said in zip(docs, explicit, strict=True)]
    whole = _WHOLE not in cast
    cast.update((*docs, _WHOLE))
    return whole


class _Cast:
    """Votes that were cast, as numbers that no two are likely to share. Most are in one sorted array."""

    def __init__(self) -> None:
        self._old = self._new = np.empty(0, np.uint64)

    def has(self, votes: Votes) -> Flags:
        return _in(votes, self._old) | _in(votes, self._new)

    def first(self, votes: Votes) -> Flags:
        """Casts votes; whether each is new."""
        found = np.zeros(len(votes), np.bool_)
        distinct, place = np.unique(votes, return_index=True)
        new = ~self.has(distinct)
        found[place[new]] = True
        self._new = np.sort(np.concatenate([self._new, distinct[new]]), kind="stable")
        if len(self._new) > len(self._old) // 8:
            self._old = np.sort(np.concatenate([self._old, self._new]), kind="stable")
            self._new = self._new[:0]
        return found


def _in(votes: Votes, ordered: Votes) -> Flags:
    if not len(ordered):
        return np.zeros(len(votes), np.bool_)
    place = np.minimum(np.searchsorted(ordered, votes), len(ordered) - 1)
    found: Flags = ordered[place] == votes
    return found


def _after(votes: Votes, rows: Ints, cast: Votes, cast_rows: Ints) -> Flags:
    """Whether each vote stands in a later row than the same one in `cast`."""
    distinct, first = np.unique(cast, return_index=True)
    if not len(distinct):
        return np.zeros(len(votes), np.bool_)
    place = np.minimum(np.searchsorted(distinct, votes), len(distinct) - 1)
    found: Flags = (distinct[place] == votes) & (cast_rows[first[place]] < rows)
    return found


def _shown(lists: Lists) -> Votes:
    """(n,) the same for lists of the same documents in the same order: another order is another occasion, and tells how
    much a rank is looked at.
    """
    place = np.arange(len(lists.doc)) - np.repeat(lists.starts, lists.lengths)
    ends = np.cumsum(np.concatenate([np.zeros(1, np.uint64), _mixed(lists.doc.astype(np.uint64), place)]))
    found: Votes = ends[lists.starts + lists.lengths] - ends[lists.starts]
    return found


def _mixed(numbers: Any, others: Any) -> Votes:
    """A number of 64 bits for each two, by the finaliser of SplitMix64."""
    a, b = (
        np.asarray(of).astype(np.int64, copy=False).view(np.uint64) if not _is_votes(of) else of
        for of in (numbers, others)
    )
    mixed = a * np.uint64(0x9E3779B97F4A7C15) + b
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    found: Votes = mixed ^ (mixed >> np.uint64(31))
    return found


def _is_votes(of: Any) -> bool:
    return isinstance(of, np.ndarray) and of.dtype == np.uint64
