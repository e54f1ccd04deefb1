"""The graph leg: a search walks from what the other two legs found first to what lies beside it.

What it proposes takes the place of the last candidates, so a search reads no more of them than without it. The first
ones stay as they are, in their order: the edges say what belongs together, not what answers a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval.fusion import Hit, Key, Legs, documents
from tribrid.retrieval.graph import Graph
from tribrid.retrieval.index import Snapshot
from tribrid.retrieval.rows import Positions, Vector
from tribrid.types import GRAPH

_STEP = 1e-6
"""Between the fused score of the last of one part of the list and that of the first of the next."""


@dataclass(frozen=True, slots=True)
class GraphLeg:
    """What a search walks on.

    Attributes:
        graph: of the corpus.
        candidates: that are reranked.
        most: of them, so many at most are proposed by the graph.
    """

    graph: Graph
    candidates: int
    most: int

    def walk(
        self, legs: Legs, fused: Sequence[Hit], snapshot: Snapshot, vector: Vector, among: Positions | None, depth: int
    ) -> Legs:
        """The legs with a third one: the documents beside the first ones found, by their best passages.

        Args:
            fused: of both legs, best first.
            vector: of the query.
            among: as of Snapshot.legs.
            depth: documents of the new leg, at most.
        """
        found = {hit.key[0]: hit.key for hit in documents(fused)}
        near = self.graph.around(list(found), depth if among is None else None)  # the filter comes before the cut
        beyond = snapshot.best_passages([one.doc_id for one in near if one.doc_id not in found], vector, among)
        keys = found | {doc_id: (doc_id, passage.ordinal) for doc_id, passage in beyond.items()}
        hits = [Hit(keys[one.doc_id], one.score) for one in near if one.doc_id in keys][:depth]
        new: dict[Key, str] = {keys[doc_id]: doc_id for doc_id in beyond}
        return replace(
            legs,
            hits={**legs.hits, GRAPH: hits},
            cosines={**legs.cosines, **{key: beyond[doc_id].cosine for key, doc_id in new.items()}},
            row_ids={**legs.row_ids, **{key: beyond[doc_id].row_id for key, doc_id in new.items()}},
        )

    def placed(self, legs: Legs, fused: Sequence[Hit], config: RetrievalConfig, *, per_passage: bool) -> list[Hit]:
        """The fused passages with what the graph proposes among the candidates, best first."""
        count = list if per_passage else documents
        known = {hit.key: hit for hit in fused}
        first = {hit.key[0] for hit in count(fused)[: self.candidates - self.most]}
        near = [hit.key for hit in legs.hits[GRAPH] if hit.key[0] not in first][: self.most]
        proposed = [known.get(key) or Hit(key, _unmatched(legs.cosines[key], config)) for key in near]
        taken = {hit.key[0] for hit in proposed}
        others = [hit for hit in fused if hit.key[0] not in taken]
        head = count(others)[: self.candidates - len(proposed)]
        kept = {hit.key for hit in head}
        tail = [hit for hit in others if hit.key not in kept]
        return _below(_below(head, sorted(proposed, key=lambda hit: (-hit.score, hit.key))), tail)


def _unmatched(cosine: float, config: RetrievalConfig) -> float:
    """The fused score of a passage that has none of the query's words and is not among the nearest."""
    return config.dense_weight * cosine if config.fusion == "weighted" else 0.0


def _below(head: Sequence[Hit], tail: Sequence[Hit]) -> list[Hit]:
    """Both, with the tail's scores lowered by as much as it takes that none rises with rank."""
    drop = max(0.0, tail[0].score - head[-1].score + _STEP) if head and tail else 0.0
    return [*head, *(Hit(hit.key, hit.score - drop) for hit in tail)]
