"""Many queries at once, each with what a reranker reads of it: for training and evaluating, which see thousands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tribrid.config import Config
from tribrid.scoring.learned import Reading
from tribrid.types import Emit, ScoredDoc
from tribrid.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One query's candidates as they would be served; `legs`: each leg's own ranking."""

    query_id: str
    reading: Reading
    legs: Mapping[str, Sequence[ScoredDoc]]


def read_queries(
    ws: Workspace, corpus_id: str, queries: Mapping[str, str], config: Config, emit: Emit
) -> Iterator[Retrieved]:
    """Search for each query (query_id → text), one after the other, as they are asked for.

    The readings hold no tokens: these are read from the index when they are used, and only the latest are kept, so
    that memory does not grow with the queries.
    """
    retriever = ws.retriever(corpus_id, config)
    kept = ws.kept_tokens(corpus_id, config)
    step = max(1, len(queries) // 20)
    for number, (query_id, text) in enumerate(queries.items(), 1):
        found = retriever.search(text, config.reranking.tribrid_reranker_topn)
        reading = ws.read(corpus_id, text, found.candidates, config, kept)
        yield Retrieved(query_id, reading, found.leg_runs)
        if number % step == 0:
            emit("progress", {"stage": "retrieval", "done": number, "total": len(queries)})
