"""How many distinct clients stand behind each label, and whether that is enough for it to count in full.

Queries that are one query in other words (splits.py) are counted together, as a model's memory takes them: whoever
turns a query's words around has one vote all the same. Beside a label that many agree on, one needs more than the
floor: a share of what the best supported has. Else it would take three clients to overrule three hundred.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tribrid.mining.clicks.counts import DOC_BITS, DOC_MASK, LogCounts, Longs
from tribrid.mining.clicks.neighbours import Neighbours
from tribrid.mining.splits import query_clusters

MINORITY = 0.2
"""The share of the best supported document's clients that any other of the same query needs."""
RATING_OUTRANKS = 3
"""Clicks of so many clients that one client's rating outranks: an opinion says more than a click, not more than all."""

Flags = NDArray[np.bool_]


class Support:
    """Votes, counted by client.

    A place is a family of queries with a document, in one number as (query, document) is.
    """

    def __init__(self, counts: LogCounts) -> None:
        self._counts, self._needed = counts, counts.voters.needed
        used = _distinct(counts.votes[:, 0], counts.votes[:, 1])
        stated = [
            (pair, counts.clients[client], opinion.strength)
            for pair, said in counts.stated.items()
            for (client, _), opinion in said.said.items()
            if client is not None
        ]
        rated = np.array([row[:2] for row in stated], np.int64).reshape(-1, 2)
        signs = np.array([row[2] for row in stated])
        self._family = self._families(np.concatenate([used[:, 0], rated[:, 0]]) >> DOC_BITS)
        self._used, self._rated = self._placed(used), self._placed(rated)
        self._good = self._placed(np.concatenate([used, rated[signs > 0]]))
        self._bad = self._placed(rated[signs < 0])
        self._neighbours: Neighbours | None = None
        self._near: tuple[int, Longs] | None = None

    def _families(self, asked: Longs) -> Longs:
        """The family of each query by number; where one client is enough, every query is its own."""
        family = np.arange(len(self._counts.queries), dtype=np.int64)
        numbers = np.unique(asked)
        if self._needed > 1 and len(numbers):
            clusters = query_clusters([self._counts.queries[number][0] for number in numbers.tolist()])
            first = dict(zip(reversed(clusters), reversed(numbers.tolist()), strict=True))
            family[numbers] = [first[cluster] for cluster in clusters]
        return family

    def _place(self, pairs: Longs) -> Longs:
        placed: Longs = self._family[pairs >> DOC_BITS] << DOC_BITS | pairs & DOC_MASK
        return placed

    def _placed(self, votes: Longs) -> Longs:
        """Votes by place: (place, client), each once, ascending."""
        return _distinct(self._place(votes[:, 0]), votes[:, 1])

    def judged(self, pairs: Longs) -> Flags:
        """Of rated documents: whether the ratings alone decide.

        Not where more clients used it than they outrank, nor where uses are enough for a label and ratings are not.
        """
        if self._needed == 1:
            return np.ones(len(pairs), dtype=bool)
        places = self._place(pairs)
        rated, used = _clients(self._rated, places), _clients(self._used, places)
        decide: Flags = (RATING_OUTRANKS * rated >= used) & ~((used >= self._needed) & (rated < self._needed))
        return decide

    def enough(self, pairs: Longs, good: Flags) -> tuple[Flags, Flags]:
        """Whether clients enough stand behind each label; and whether they do behind any good one of its query.

        Args:
            good: whether the label is a good one.
        """
        if self._needed == 1:
            return np.ones(len(pairs), dtype=bool), np.ones(len(pairs), dtype=bool)
        places = self._place(pairs)
        most = np.zeros(len(self._family), np.int64)
        np.maximum.at(most, self._good[:, 0] >> DOC_BITS, _clients(self._good, self._good[:, 0]))
        best = most[places >> DOC_BITS]
        floor = np.maximum(self._needed, np.ceil(MINORITY * best))
        behind = np.where(good, _clients(self._good, places), _clients(self._bad, places))
        return behind >= floor, best >= self._needed

    def others_agree(self, query: str, doc_id: str) -> bool:
        """Whether clients enough, beside those of the label itself, found the document good for queries like this one.

        Who acts on a document alone adds nothing to that.
        """
        number, doc = self._counts.number(query), self._counts.doc_ids.get(doc_id)
        if number is None or doc is None:
            return False
        family = int(self._family[number])
        near = self._votes_near(family)
        docs, clients = near[:, 0], near[:, 1]
        own = self._clients_at(family, doc)
        agreeing = clients[docs == doc]
        best = int(np.bincount(np.unique(docs, return_inverse=True)[1]).max(initial=0))
        return len(agreeing) >= MINORITY * best and int((~np.isin(agreeing, own)).sum()) >= self._needed

    def _votes_near(self, family: int) -> Longs:
        """(document, client) of the good votes for queries like those of a family, each once, ascending."""
        if self._neighbours is None:
            families = np.unique(self._good[:, 0] >> DOC_BITS).tolist()
            self._neighbours = Neighbours({number: self._counts.queries[number][0] for number in families})
        if self._near is None or self._near[0] != family:
            found = [self._between(other << DOC_BITS, (other + 1) << DOC_BITS) for other in self._neighbours.of(family)]
            votes = np.concatenate(found)
            self._near = family, _distinct(votes[:, 0] & DOC_MASK, votes[:, 1])
        return self._near[1]

    def _clients_at(self, family: int, doc: int) -> Longs:
        place = family << DOC_BITS | doc
        return self._between(place, place + 1)[:, 1]

    def _between(self, first: int, end: int) -> Longs:
        """Good votes at these places."""
        start, stop = np.searchsorted(self._good[:, 0], [first, end])
        found: Longs = self._good[start:stop]
        return found

    def heaviest(self, labels: Iterable[tuple[str, str]]) -> float | None:
        """The most that one client has of these labels, 0 to 1; one that several agree on is shared among them.

        None where no client is behind any of them.

        Args:
            labels: query and doc_id.
        """
        weight = np.zeros(len(self._counts.clients))
        for query, doc_id in labels:
            number, doc = self._counts.number(query), self._counts.doc_ids.get(doc_id)
            if number is not None and doc is not None:
                place = int(self._place(np.array([number << DOC_BITS | doc]))[0])
                behind = self._between(place, place + 1)[:, 1]
                weight[behind] += 1 / max(len(behind), 1)
        total = float(weight.sum())
        return float(weight.max()) / total if total else None


def _distinct(keys: Longs, clients: Longs) -> Longs:
    """Rows of both, each once, ascending."""
    order = np.lexsort((clients, keys))
    keys, clients = keys[order], clients[order]
    first = (np.diff(keys, prepend=-1) != 0) | (np.diff(clients, prepend=-1) != 0)
    return np.stack([keys[first], clients[first]], axis=1)


def _clients(votes: Longs, places: Longs) -> Longs:
    """How many clients voted at each of these places."""
    ends = (np.searchsorted(votes[:, 0], places, side) for side in ("right", "left"))
    right, left = ends
    found: Longs = right - left
    return found
