"""A query to ranked documents: both legs, fused, each document by its best passage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tribrid.config.sections import RetrievalConfig
from tribrid.observing import timed
from tribrid.retrieval.fusion import Legs, collapse, documents, fuse
from tribrid.retrieval.index import Index, Snapshot
from tribrid.retrieval.rows import Positions, Vector
from tribrid.retrieval.selection import Selection
from tribrid.types import FIRST_RANK, LEGS, Candidate, ScoredDoc

# Legs are searched this much deeper, until there are enough documents: in a corpus of long documents, hundreds of
# passages may belong to a few of them.
_WIDEN = 4
_WIDEST_LEG = 20_000


class QueryEncoder(Protocol):
    """Embeds queries as the passages were embedded."""

    def embed_query(self, text: str) -> Vector:
        """float32 (dim,), L2-normalised."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What one query found.

    Attributes:
        candidates: documents by fused score, ranks from 1.
        leg_runs: each leg's own ranking of the documents it returned, for reports that show each leg alone.
    """

    candidates: list[Candidate] = field(default_factory=list)
    leg_runs: Mapping[str, list[ScoredDoc]] = field(default_factory=lambda: {leg: [] for leg in LEGS})


class Retriever:
    """First-stage search over one index. Deterministic for one published state. Safe for threads."""

    def __init__(self, index: Index, encoder: QueryEncoder, config: RetrievalConfig) -> None:
        self._index = index
        self._encoder = encoder
        self._config = config

    def retrieve(self, query: str, depth: int) -> list[Candidate]:
        """The `depth` best documents, best first; fewer when the corpus or the legs hold fewer.

        Raises:
            StaleIndex: the index was built by an encoder of another dimension, or cannot be read.
        """
        return self.search(query, depth).candidates

    def legs(self, query: str, depth: int) -> Mapping[str, list[ScoredDoc]]:
        """Each leg's own `depth` best documents by name of the leg, best first.

        Raises:
            StaleIndex: as `retrieve`.
        """
        return self.search(query, depth).leg_runs

    @timed("retrieve")
    def search(self, query: str, depth: int, selection: Selection | None = None) -> Retrieved:
        """Candidates and legs in one go.

        Args:
            selection: what may be found at all; None: everything.

        Raises:
            StaleIndex: as `retrieve`.
        """
        vector = self._encoder.embed_query(query)

        def found(snapshot: Snapshot) -> Retrieved:
            among = None if selection is None else snapshot.chosen(selection)
            if among is not None and not len(among):
                return Retrieved()
            return self._search(snapshot, query, vector, depth, among)

        return self._index.read(found, Retrieved())

    def _search(self, snapshot: Snapshot, query: str, vector: Vector, depth: int, among: Positions | None) -> Retrieved:
        legs = self._deep_enough(snapshot, query, vector, depth, among)
        ranked = collapse(fuse(legs.hits, legs.cosines, self._config), legs.hits, depth)
        passages = snapshot.found(legs, [document.key for document in ranked])
        candidates = [
            Candidate(passages[document.key], rank, document.score, document.legs)
            for rank, document in enumerate(ranked, FIRST_RANK)
        ]
        runs = {
            leg: [ScoredDoc(hit.key[0], hit.score) for hit in documents(hits)[:depth]]
            for leg, hits in legs.hits.items()
        }
        return Retrieved(candidates, runs)

    def _deep_enough(self, snapshot: Snapshot, query: str, vector: Vector, depth: int, among: Positions | None) -> Legs:
        """Both legs, at leg_depth or as deep as it takes to find `depth` documents."""
        k = max(self._config.leg_depth, depth)
        while True:
            legs = snapshot.legs(query, vector, k, among)
            more = any(len(hits) == k for hits in legs.hits.values()) and k < _WIDEST_LEG
            if not more or len({doc_id for doc_id, _ in legs.cosines}) >= depth:
                return legs
            k *= _WIDEN
