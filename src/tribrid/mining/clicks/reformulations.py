"""Which lists were given up: soon after one, the same user asked much the same in other words.

References:
    Radlinski, Joachims: Query chains, KDD 2005. Hassan et al.: Beyond clicks: query reformulation as a predictor of
    search satisfaction, CIKM 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribrid.mining.clicks.lists import Coder, Lists
from tribrid.mining.splits import content_words
from tribrid.types.logblocks import Flags, Ints

SOON_US = 5 * 60 * 1_000_000
"""Longest time from a list to the query that gives it up, microseconds."""


@dataclass(frozen=True, slots=True)
class Left:
    """Lists of known clients, cut down to what was left alone: `cells` of them, by `ends`; `doc` and `rank` of each.

    `by`: the list, of the block that is read, that each was given up for. `asked`: its query as written, and query_id.
    """

    by: Ints
    asked: list[tuple[str, str]]
    query: Ints
    client: Ints
    at_us: Ints
    ends: Ints
    doc: Ints
    rank: Ints

    def where(self, rows: Flags) -> Left:
        """Only these."""
        return self.these(np.flatnonzero(rows), self.by[rows])

    def these(self, rows: Ints, by: Ints) -> Left:
        """These of them."""
        lengths = np.diff(self.ends, prepend=0)[rows]
        ends = np.cumsum(lengths)
        cells = np.arange(lengths.sum()) + np.repeat(self.ends[rows] - ends, lengths)
        asked = list(map(self.asked.__getitem__, rows.tolist()))
        query, client, at_us = self.query[rows], self.client[rows], self.at_us[rows]
        return Left(by, asked, query, client, at_us, ends, self.doc[cells], self.rank[cells])


class Reformulations:
    """Follows a log in its order of time. Lists without a client_id tell nothing here."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        nothing = np.empty(0, np.int64)
        self._waiting = Left(nothing, [], *[nothing] * 6)

    def given_up(self, lists: Lists) -> Left:
        """The lists, of these or before, that the query of one of these is a reformulation of."""
        named = np.flatnonzero((lists.client >= 0) & lists.recorded)
        waiting = self._waiting
        if not len(named):
            return waiting.these(named, named)
        both = _below(waiting, lists, named)
        # A list in which something was used and not left again at once cannot be given up.
        satisfied = np.concatenate([np.zeros(len(waiting.query), np.bool_), lists.satisfied[named]])
        order = np.argsort(both.client, kind="stable")
        before, after = order[:-1], order[1:]
        took = both.at_us[after] - both.at_us[before]
        found = (both.client[after] == both.client[before]) & ~satisfied[before] & (took >= 0) & (took <= SOON_US)
        found &= both.query[after] != both.query[before]
        found[found] = self._share_words(both.query[before[found]], both.query[after[found]])
        found &= after >= len(waiting.query)
        last = np.append(both.client[after] != both.client[before], np.ones(min(len(order), 1), np.bool_))
        kept = order[last & ~satisfied[order] & (both.at_us[order] >= both.at_us.max(initial=0) - SOON_US)]
        self._waiting = both.these(np.sort(kept), kept)
        place = np.argsort(after[found])
        return both.these(before[found][place], both.by[after[found][place]])

    def _share_words(self, queries: Ints, others: Ints) -> Flags:
        text = self._coder.queries.name
        pairs, place = np.unique(np.stack([queries, others], axis=1), axis=0, return_inverse=True)
        shared = [bool(content_words(text(a)) & content_words(text(b))) for a, b in pairs.tolist()]
        return np.array(shared, np.bool_)[place.reshape(-1)]


def _below(waiting: Left, lists: Lists, named: Ints) -> Left:
    """What waits, and below it these lists."""
    left = lists.untouched()
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(left)])
    ends = before[(lists.starts + lists.lengths)]
    asked = list(zip(lists.block.queries, lists.block.query_ids, strict=True))
    every = (lists.query, lists.client, lists.at_us, ends, lists.doc[left], lists.rank[left])
    whole = Left(np.arange(len(lists)), asked, *every)
    own = whole.these(named, named)
    by = np.full(len(waiting.query), -1)
    ends = own.ends + len(waiting.doc)
    columns = (
        (by, own.by),
        (waiting.query, own.query),
        (waiting.client, own.client),
        (waiting.at_us, own.at_us),
        (waiting.ends, ends),
        (waiting.doc, own.doc),
        (waiting.rank, own.rank),
    )
    first, *rest = (np.concatenate(pair) for pair in columns)
    return Left(first, waiting.asked + own.asked, *rest)
