"""The graph leg: a search walks from what the other two legs found first to what lies beside it.

What it proposes takes the place of the last candidates, so a search reads no more of them than without it. The first
ones stay as they are, in their order: the edges say what belongs together, not what answers a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from tribrid.config.sections import RetrievalConfig
from tribrid.retrieval.fusion import Hit, Legs, best_first, documents
from tribrid.retrieval.graph import Graph
from tribrid.retrieval.rows import Positions, Vector
from tribrid.retrieval.snapshot import Snapshot
from tribrid.types import GRAPH

_NEARNESS = 0.5
"""What is proposed is chosen by its fused score times this power of its nearness: it lies beside the first ones, and is
like the query."""
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
        return Legs(
            hits={**legs.hits, GRAPH: hits},
            cosines={**legs.cosines, **{keys[doc_id]: passage.cosine for doc_id, passage in beyond.items()}},
            row_ids={**legs.row_ids, **{keys[doc_id]: passage.row_id for doc_id, passage in beyond.items()}},
        )

    def placed(self, legs: Legs, fused: Sequence[Hit], config: RetrievalConfig, *, per_passage: bool) -> list[Hit]:
        """The fused passages with what the graph proposes among the candidates, best first."""
        count = list if per_passage else documents
        stay = _documents(count(fused)[: self.candidates - self.most])
        proposed = self._proposed(legs, fused, stay, config)
        taken = {hit.key for hit in proposed}
        # Of documents only the best passage is shown; of passages the others of its document stay.
        others = [h for h in fused if h.key not in taken] if per_passage else _without(fused, _documents(proposed))
        head = count(others)[: self.candidates - len(proposed)]
        kept = {hit.key for hit in head}
        return _below(_below(head, proposed), [hit for hit in others if hit.key not in kept])

    def _proposed(self, legs: Legs, fused: Sequence[Hit], stay: Set[str], config: RetrievalConfig) -> list[Hit]:
        """The most promising that are not among those that stay, by fused score."""
        known = {hit.key: hit for hit in fused}
        near = {
            one: known.get(one.key) or Hit(one.key, _unmatched(legs.cosines[one.key], config))
            for one in _without(legs.hits[GRAPH], stay)
        }
        promising = sorted(near, key=lambda one: (near[one].score * one.score**_NEARNESS, one.key), reverse=True)
        return best_first(near[one] for one in promising[: self.most])


def _documents(hits: Iterable[Hit]) -> set[str]:
    return {hit.key[0] for hit in hits}


def _without(hits: Iterable[Hit], doc_ids: Set[str]) -> list[Hit]:
    return [hit for hit in hits if hit.key[0] not in doc_ids]


def _unmatched(cosine: float, config: RetrievalConfig) -> float:
    """The fused score of a passage that neither leg returned: as if it stood below the last that the dense one did."""
    if config.fusion == "weighted":
        return config.dense_weight * max(cosine, 0.0)
    return 1 / (config.rrf_k + config.leg_depth)


def _below(head: Sequence[Hit], tail: Sequence[Hit]) -> list[Hit]:
    """Both, with the tail's scores lowered by as much as it takes that none rises with rank."""
    drop = max(0.0, tail[0].score - head[-1].score + _STEP) if head and tail else 0.0
    return [*head, *(Hit(hit.key, hit.score - drop) for hit in tail)]
