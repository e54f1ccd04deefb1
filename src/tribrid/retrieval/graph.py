"""Which documents belong together: edges between them, and what lies around those that a search found first.

An edge is a link, an import, a call, or that one document is a part of the other; parts of one whole are siblings.
Edges are walked both ways, one step. What a document gives is shared out among its neighbours, so that one with many
says little of each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tribrid.retrieval.names import Names, parent_of, whole_of
from tribrid.types import FIRST_RANK
from tribrid.types.edges import EdgeKind, Mention

WEIGHTS: Mapping[EdgeKind, float] = {
    "link": 1.0,
    "import": 1.0,
    "call": 1.0,
    "parent": 1.0,
    "sibling": 0.2,
    "good_for": 1.0,
}
"""What an edge of each kind counts; `good_for`: both were good for one query, the more the fewer others were."""
SEEDS = 30
"""Documents from which a search walks: its first so many."""
SOFTENED = 5
"""A seed at rank r gives 1 / (SOFTENED + r)."""
MOST_GOOD = 100
"""For a query with more good documents, they are too many to belong together."""
MOST_SIBLINGS = 500
"""Parts of a whole with more say nothing of each other."""

Ints = np.ndarray[Any, np.dtype[np.int32]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


class Node(NamedTuple):
    """A document, as far as its edges are told by it."""

    doc_id: str
    uri: str
    parent_id: str | None
    mentions: Sequence[Mention]


class Near(NamedTuple):
    """A document beside what was found, and how near; above 0."""

    doc_id: str
    score: float


class Graph:
    """The edges of one state of a corpus. Safe for threads."""

    def __init__(self, nodes: Iterable[Node], good_for: Iterable[Collection[str]] = ()) -> None:
        """From what the documents say.

        Args:
            good_for: of each past query, the documents that were good for it.
        """
        known = sorted(nodes, key=lambda node: node.doc_id)  # so that of equals the last by id is first, as everywhere
        self._doc_ids = [node.doc_id for node in known]
        self._number_of = {doc_id: number for number, doc_id in enumerate(self._doc_ids)}
        self._starts, self._targets, self._weights = _rows(_edges(known, good_for), len(known))
        self._families, self._family_of = _families(known)

    def __bool__(self) -> bool:
        """Whether there is an edge at all."""
        return len(self._targets) > 0 or len(self._families) > 0

    def around(self, found: Sequence[str], most: int | None = None) -> list[Near]:
        """The documents beside those that a search found, nearest first; what was found is among it where it stands
        beside others of it.

        Args:
            found: doc_ids, best first; the first SEEDS count.
            most: so many at most; None: all.
        """
        targets: list[Ints] = [np.zeros(0, np.int32)]
        shares: list[Floats] = [np.zeros(0, np.float32)]
        for rank, doc_id in enumerate(found[:SEEDS], FIRST_RANK):
            if (number := self._number_of.get(doc_id)) is not None:
                for others, weights in self._beside(number):
                    targets.append(others)
                    shares.append(weights / np.float32(SOFTENED + rank))
        numbers, at = np.unique(np.concatenate(targets), return_inverse=True)
        scores = np.bincount(at, np.concatenate(shares), len(numbers))
        nearest = np.lexsort((-numbers, -scores))[:most]
        return [Near(self._doc_ids[numbers[one]], float(scores[one])) for one in nearest]

    def _beside(self, number: int) -> Iterator[tuple[Ints, Floats]]:
        """A document's neighbours with what each gets of it, 1 in all."""
        row = slice(self._starts[number], self._starts[number + 1])
        siblings = self._families[self._family_of[number]] if number in self._family_of else np.zeros(0, np.int32)
        siblings = siblings[siblings != number]
        total = float(self._weights[row].sum()) + WEIGHTS["sibling"] * len(siblings)
        if total > 0:
            yield self._targets[row], self._weights[row] / total
            yield siblings, np.full(len(siblings), WEIGHTS["sibling"] / total, np.float32)


def _edges(nodes: Sequence[Node], good_for: Iterable[Collection[str]]) -> Mapping[tuple[int, int], float]:
    """(number, number) → weight, both ways; of several edges between two documents the strongest."""
    names = Names((node.doc_id, node.uri) for node in nodes)
    edges: dict[tuple[int, int], float] = {}

    def add(one: int, other: int | None, weight: float) -> None:
        if other is not None and one != other:
            for pair in ((one, other), (other, one)):
                edges[pair] = max(edges.get(pair, 0.0), weight)

    for number, node in enumerate(nodes):
        add(number, names.number_of.get(node.parent_id or ""), WEIGHTS["parent"])
        add(number, parent_of(node.doc_id, names.number_of), WEIGHTS["parent"])
        for mention in node.mentions:
            for other, sure in names.meant(number, mention):
                add(number, other, WEIGHTS[mention.kind] * mention.weight * sure)
    for pair, votes in _votes(good_for, names.number_of).items():
        add(*pair, WEIGHTS["good_for"] * min(votes, 1.0))
    return edges


def _votes(good_for: Iterable[Collection[str]], number_of: Mapping[str, int]) -> Mapping[tuple[int, int], float]:
    """How often two documents were good for one query; each query shares out one vote a document."""
    votes: defaultdict[tuple[int, int], float] = defaultdict(float)
    for doc_ids in good_for:
        together = sorted(number_of[doc_id] for doc_id in doc_ids if doc_id in number_of)
        if len(together) <= MOST_GOOD:
            for pair in combinations(together, 2):
                votes[pair] += 1 / (len(together) - 1)
    return votes


def _rows(edges: Mapping[tuple[int, int], float], count: int) -> tuple[Ints, Ints, Floats]:
    """Where each document's edges begin, (count + 1,), and to whom they lead with what weight, (edges,)."""
    pairs = sorted(edges)
    starts = np.searchsorted([one for one, _ in pairs], np.arange(count + 1)).astype(np.int32)
    targets = np.array([other for _, other in pairs], np.int32)
    return starts, targets, np.array([edges[pair] for pair in pairs], np.float32)


def _families(nodes: Sequence[Node]) -> tuple[list[Ints], dict[int, int]]:
    """The parts of each whole, by number, and of which each document is a part."""
    parts: defaultdict[str, list[int]] = defaultdict(list)
    for number, node in enumerate(nodes):
        if whole := node.parent_id or whole_of(node.doc_id) or whole_of(node.uri):
            parts[whole].append(number)
    families = [np.array(of, np.int32) for of in parts.values() if 1 < len(of) <= MOST_SIBLINGS]
    return families, {int(number): at for at, of in enumerate(families) for number in of}
