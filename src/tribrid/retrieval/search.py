"""A query to ranked documents, each by its best passage, or to ranked passages: both legs, fused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tribrid.config.sections import RetrievalConfig
from tribrid.observing import timed
from tribrid.retrieval.fusion import Legs, collapse, documents, fuse, passages
from tribrid.retrieval.index import Index
from tribrid.retrieval.rows import Positions, Vector
from tribrid.retrieval.selection import Selection
from tribrid.retrieval.snapshot import Snapshot
from tribrid.retrieval.walk import GraphLeg
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
        candidates: documents, or passages, by fused score, ranks from 1.
        leg_runs: each leg's own ranking of the documents it returned, for reports that show each leg alone; the graph's
            where there is one.
    """

    candidates: list[Candidate] = field(default_factory=list)
    leg_runs: Mapping[str, list[ScoredDoc]] = field(default_factory=lambda: {leg: [] for leg in LEGS})


class _Sought(NamedTuple):
    """What one search looks for: so many documents, or passages, of some rows (None: of all)."""

    query: str
    vector: Vector
    depth: int
    among: Positions | None
    per_passage: bool


class Retriever:
    """First-stage search over one index. Deterministic for one published state. Safe for threads."""

    def __init__(
        self, index: Index, encoder: QueryEncoder, config: RetrievalConfig, graph: GraphLeg | None = None
    ) -> None:
        """Search an index.

        Args:
            graph: the third leg; None where there is none.
        """
        self._index = index
        self._encoder = encoder
        self._config = config
        self._graph = graph

    def walking(self, graph: GraphLeg | None) -> Retriever:
        """The same with another third leg."""
        return Retriever(self._index, self._encoder, self._config, graph)

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
    def search(
        self, query: str, depth: int, selection: Selection | None = None, *, per_passage: bool = False
    ) -> Retrieved:
        """Candidates and legs in one go.

        Args:
            selection: what may be found at all; None: everything.
            per_passage: candidates are the best passages, several of a document among them.

        Raises:
            StaleIndex: as `retrieve`.
        """
        vector = self._encoder.embed_query(query)

        def found(snapshot: Snapshot) -> Retrieved:
            among = None if selection is None else snapshot.chosen(selection)
            if among is not None and not len(among):
                return Retrieved()
            return self._search(snapshot, _Sought(query, vector, depth, among, per_passage))

        return self._index.read(found, Retrieved())

    def _search(self, snapshot: Snapshot, sought: _Sought) -> Retrieved:
        legs, depth = self._deep_enough(snapshot, sought), sought.depth
        fused = fuse(legs.hits, legs.cosines, self._config)
        if self._graph is not None:
            legs = self._graph.walk(legs, fused, snapshot, sought.vector, sought.among, self._config.leg_depth)
            fused = self._graph.placed(legs, fused, self._config, per_passage=sought.per_passage)
        best = passages if sought.per_passage else collapse
        ranked = best(fused, legs.hits, depth)
        texts = snapshot.found(legs, [found.key for found in ranked])
        candidates = [
            Candidate(texts[found.key], rank, found.score, found.legs) for rank, found in enumerate(ranked, FIRST_RANK)
        ]
        runs = {
            leg: [ScoredDoc(hit.key[0], hit.score) for hit in documents(hits)[:depth]]
            for leg, hits in legs.hits.items()
        }
        return Retrieved(candidates, runs)

    def _deep_enough(self, snapshot: Snapshot, sought: _Sought) -> Legs:
        """Both legs, at leg_depth or as deep as it takes to find as many as are sought."""
        k = max(self._config.leg_depth, sought.depth)
        while True:
            legs = snapshot.legs(sought.query, sought.vector, k, sought.among)
            more = any(len(hits) == k for hits in legs.hits.values()) and k < _WIDEST_LEG
            found = len(legs.cosines) if sought.per_passage else len({doc_id for doc_id, _ in legs.cosines})
            if not more or found >= sought.depth:
                return legs
            k *= _WIDEN
