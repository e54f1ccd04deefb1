"""From mined triplets to what a training is given: lists of the queries whose order is learned, and past queries of
which it is only remembered what was good for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tribrid.config import Config
from tribrid.loop.reading import read_queries
from tribrid.mining.splits import newest_clusters, query_clusters
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import Reading
from tribrid.training.lists import Labels, PastQuery, TrainingList, labels_by_query
from tribrid.training.resources import READING_SHARE, Pace
from tribrid.types import Emit, Triplet
from tribrid.workspace import Workspace

_STEPS = 20


@dataclass(frozen=True, slots=True)
class Taught:
    """See `TrainingInputs`, whose fields these are."""

    lists: Sequence[TrainingList]
    past: Sequence[PastQuery]
    newest: frozenset[str]
    statistics: CorpusStatistics


def read_triplets(
    ws: Workspace, corpus_id: str, triplets: Sequence[Triplet], config: Config, pace: Pace, emit: Emit
) -> Taught:
    """Retrieve and read the candidates of the queries that are learned from, and embed the others."""
    labels = labels_by_query(triplets)
    clusters = dict(zip((own.query_id for own in labels), query_clusters([own.query for own in labels]), strict=True))
    learned = {triplet.query_id for triplet in triplets if not triplet.remembered}
    taught = [own for own in labels if own.query_id in learned]
    newest = newest_clusters(
        [clusters[own.query_id] for own in taught], [own.observed_us for own in taught], 1 / config.training.folds
    )
    statistics, snippet_chars = ws.statistics(corpus_id, config), config.reranking.rerank_input_snippet_chars
    known = {own.query_id: own for own in taught}

    def in_time() -> bool:
        return pace.within(READING_SHARE)

    lists = [
        TrainingList.of(known[query_id], clusters[query_id], reading, statistics, snippet_chars)
        for query_id, reading in _read_in_time(ws, corpus_id, known, config, emit, in_time)
        if reading.candidates
    ]
    rest = [own for own in labels if own.query_id not in learned]
    past = list(_embedded_in_time(ws, rest, clusters, config, emit, in_time))
    return Taught(lists, past, newest, statistics)


def _read_in_time(
    ws: Workspace,
    corpus_id: str,
    known: Mapping[str, Labels],
    config: Config,
    emit: Emit,
    in_time: Callable[[], bool],
) -> Iterator[tuple[str, Reading]]:
    """The queries' candidates, as many as there is time for: at least one."""
    texts = {query_id: own.query for query_id, own in known.items()}
    for number, found in enumerate(read_queries(ws, corpus_id, texts, config, emit), 1):
        yield found.query_id, found.reading
        if number < len(texts) and not in_time():
            _tell_cut(emit, "read", number, len(texts))
            return


def _embedded_in_time(
    ws: Workspace,
    rest: Sequence[Labels],
    clusters: Mapping[str, str],
    config: Config,
    emit: Emit,
    in_time: Callable[[], bool],
) -> Iterator[PastQuery]:
    """What was good for these queries, for as many as there is time to embed."""
    embedder, step = ws.embedder(config), max(1, len(rest) // _STEPS)
    for number, own in enumerate(rest):
        if not in_time():
            _tell_cut(emit, "remember", number, len(rest))
            return
        yield PastQuery(clusters[own.query_id], embedder.query_tokens(own.query), own.good)
        if (number + 1) % step == 0:
            emit("progress", {"stage": "memory", "done": number + 1, "total": len(rest)})


def _tell_cut(emit: Emit, what: str, done: int, total: int) -> None:
    message = f"training.time_budget_s leaves time to {what} {done:,} of {total:,} queries"
    emit("log", {"level": "warning", "message": message})
