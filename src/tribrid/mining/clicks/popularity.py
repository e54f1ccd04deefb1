"""How many clients used each document of a log, and of how many who looked at it: what is popular, whatever was asked.

A client counts once for a document, however often he used it, and by his latest use; documents that fewer clients used
than a label needs count as not used at all. So nobody makes a document popular alone. A query's own clicks can be left
out: else what is to be learned would stand in the question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from tribrid.corpus.lexical import normalise
from tribrid.mining.clicks.counts import BUFFERED, Longs, Sums
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.clicks.lists import Numbers
from tribrid.mining.clicks.voters import DAY_US, Voters, survey
from tribrid.scoring.clicks import Clicks, Counts, Tally
from tribrid.types import LoggedList
from tribrid.types.logblocks import Log

BITS = 21
MOST = 1 << BITS
"""Documents, queries and clients that are told apart; in a log with more of one kind, the first so many count."""
_USED, _TRIED, _LOOKED = range(3)


def _latest() -> Sums:
    return Sums(np.empty(0, np.int64), np.empty((0, 1), np.int64), np.maximum)


class Popularity:
    """What a log says of documents. Made by `count`."""

    def __init__(self, voters: Voters, *, examined_below_click: int, half_life_days: float) -> None:
        """Starts empty; the arguments are those of `count`."""
        self._voters, self._below, self._half_life_us = voters, examined_below_click, half_life_days * DAY_US
        self._docs, self._queries, self._clients = Numbers(), Numbers(), Numbers()
        self._sums = [_latest() for _ in range(3)]
        self._waiting: list[list[tuple[int, int]]] = [[], [], []]
        self._ends_us = 0

    def add(self, logged: LoggedList) -> None:
        """Count a list."""
        self._ends_us = max(self._ends_us, logged.created_us)
        found = evidence(logged)
        used = {doc_id for doc_id, opinion in found.opinions.items() if opinion.use > 0}
        if not used:
            return
        query = self._queries[normalise(logged.query)]
        voter = self._voters.voter(logged)
        client = self._clients[f"\0{len(self._clients)}" if voter is None else voter]
        looked = zip(logged.doc_ids, logged.ranks, strict=True)
        seen = {doc_id for doc_id, rank in looked if rank <= found.lowest + self._below} | used
        recorded = logged.source != "reconstructed"
        for kind, doc_ids in enumerate((used, used if recorded else (), seen if recorded else ())):
            self._note(kind, doc_ids, query, client, logged.created_us)

    def _note(self, kind: int, doc_ids: Iterable[str], query: int, client: int, at_us: int) -> None:
        for doc_id in doc_ids:
            doc = self._docs[doc_id]
            if max(doc, query, client) < MOST:
                self._waiting[kind].append(((doc << BITS | query) << BITS | client, at_us))
        if len(self._waiting[kind]) >= BUFFERED:
            self._merge(kind)

    def _merge(self, kind: int) -> None:
        rows = np.array(self._waiting[kind], np.int64).reshape(-1, 2)
        self._sums[kind].merge(rows[:, 0], rows[:, 1:])
        self._waiting[kind] = []

    def merge(self) -> None:
        """Take what waits into the counts."""
        for kind in range(3):
            self._merge(kind)

    @property
    def queries(self) -> Collection[str]:
        """All that anybody asked and used something for, normalised."""
        return self._queries.keys()

    @property
    def clicks(self) -> Clicks:
        """All of it, for a model to carry."""
        doc_ids = list(self._docs)
        tally = self.tally(doc_ids)
        rows = np.round(np.stack([tally.used, tally.tried, tally.looked], axis=1), 4).tolist()
        counts = {doc_id: row for doc_id, row in zip(doc_ids, rows, strict=True) if any(row)}
        return Clicks(self.usual, counts)

    @property
    def usual(self) -> float:
        """Of all looks, the share that ended in a use, 0..1."""
        tried, looked = len(self._sums[_TRIED].keys), len(self._sums[_LOOKED].keys)
        return tried / looked if looked else 0.0

    def tally(self, doc_ids: Sequence[str], without: Collection[str] = ()) -> Tally:
        """What was done with these documents.

        Args:
            without: normalised queries whose lists do not count.
        """
        left_out = np.array([self._queries[query] for query in without if query in self._queries], np.int64)
        used, tried, looked = (
            np.array([self._clients_of(sums, doc_id, left_out) for doc_id in doc_ids], np.float64)
            for sums in self._sums
        )
        return Tally(used, tried, looked)

    def _clients_of(self, sums: Sums, doc_id: str, left_out: Longs) -> float:
        """Distinct clients, each by how long ago its latest act was; 0 where they are too few."""
        doc = self._docs.get(doc_id)
        if doc is None:
            return 0.0
        start, end = np.searchsorted(sums.keys, (doc << 2 * BITS, (doc + 1) << 2 * BITS))
        keys, at_us = sums.keys[start:end], sums.counts[start:end, 0]
        if len(left_out):
            kept = ~np.isin(keys >> BITS & MOST - 1, left_out)
            keys, at_us = keys[kept], at_us[kept]
        clients = keys & MOST - 1
        order = np.lexsort((-at_us, clients))
        firsts = np.unique(clients[order], return_index=True)[1]
        if len(firsts) < self._voters.needed:
            return 0.0
        return float(self._weights(at_us[order][firsts]).sum())

    def _weights(self, at_us: Longs) -> Counts:
        ages: Counts = (self._ends_us - at_us) / self._half_life_us
        return np.exp2(-ages)


def count(
    lists: Iterable[LoggedList],
    named: Log,
    *,
    min_clients: int,
    examined_below_click: int,
    half_life_days: float,
) -> Popularity:
    """Read a log.

    Args:
        lists: those that may be learned from, in any order.
        named: those of them of which the client is known; they are read first.
        min_clients: as of `survey`.
        examined_below_click: ranks below the lowest use that still count as looked at.
        half_life_days: of a client's part, from the end of the log back.
    """
    voters = survey(named, min_clients)
    found = Popularity(voters, examined_below_click=examined_below_click, half_life_days=half_life_days)
    for logged in _people(lists, voters):
        found.add(logged)
    found.merge()
    return found


def _people(lists: Iterable[LoggedList], voters: Voters) -> Iterator[LoggedList]:
    return (logged for logged in lists if logged.client_id not in voters.bots)
