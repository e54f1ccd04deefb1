"""What a trained model lifts into the top 10 of the most frequent queries, and which of it rests on few clients.

The queries are ranked as they would be served, before and after. Only documents that rise are looked up in the log, and
only those that rest on few are ranked again, so the cost is that of some more queries of an evaluation.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tribrid.answers.report import Riser, Risers
from tribrid.corpus.lexical import normalise
from tribrid.evaluation.arms import Readings, ranks, retrieval_arm, run_arms
from tribrid.evaluation.risers import NAMELESS, FewBehind, Label, against_crowd, few_behind, rising, stands_on, too_few
from tribrid.loop.frozen import read_queries
from tribrid.mining.clicks.feedback import opinion
from tribrid.mining.clicks.neighbours import alike
from tribrid.mining.splits import content_words, query_clusters
from tribrid.scoring.learned import LearnedReranker, Reading
from tribrid.scoring.scorer import LearnedScorer, Scorer, ranked
from tribrid.store.logfacts import Acts
from tribrid.training.lists import labels_by_query
from tribrid.types import FIRST_RANK, Emit, Source, Triplet, rank_order
from tribrid.workspace.corpus import OpenCorpus

_NOT_ASKED = "No frequent query is looked at (gate.frequent_queries is 0, or gate.least_clients is 1)."
_NOT_KNOWN = "What the model was trained on is no longer stored, so it cannot be told whom a rise rests on."


def find_risers(
    corpus: OpenCorpus, challenger: LearnedScorer, champion: Scorer | None, taught: Sequence[Triplet], emit: Emit
) -> tuple[Risers, dict[str, str]]:
    """Rank the frequent queries with what serves and with the challenger.

    Args:
        champion: what serves; None for the retrieval order.
        taught: what the challenger was trained on.

    Returns:
        What was found; and the systems that could not rank the queries, with what happened.
    """
    most, least = corpus.config.gate.frequent_queries, corpus.config.gate.least_clients
    crowd = corpus.store.logs.crowd(corpus.corpus_id, 2 * most)
    skipped = _skipped(corpus, taught) or too_few(crowd.clients, crowd.nameless, crowd.lists)
    if skipped is not None:
        return Risers(skipped=skipped, clients=crowd.clients), {}
    readings = _readings(corpus, _frequent(crowd.queries, least, most), emit)
    before, after, failed = _orders(readings, challenger, champion, emit)
    if failed:
        return Risers(skipped="The frequent queries could not be ranked.", clients=crowd.clients), failed
    risen = [(text, doc_id) for text in readings for doc_id in rising(before[text], after[text])]
    taught_on = _Taught.of(corpus, taught, list(readings), {doc_id for _, doc_id in risen})
    named = []
    for text, doc_id in risen:
        clients, without = taught_on.few(challenger.reranker, readings[text], doc_id, least)
        if clients:
            places = {"before": _place(before[text], doc_id), "after": _place(after[text], doc_id), "without": without}
            named.append(Riser.model_validate({"query": text, "doc_id": doc_id, "clients": clients, **places}))
    found = {"queries": len(readings), "clients": crowd.clients, "risen": len(risen), "named": tuple(named)}
    return Risers.model_validate(found), {}


def _skipped(corpus: OpenCorpus, taught: Sequence[Triplet]) -> str | None:
    """Why there is nothing to ask the log; None where there is."""
    if not corpus.config.gate.frequent_queries or corpus.config.gate.least_clients == 1:
        return _NOT_ASKED
    return None if taught else _NOT_KNOWN


def _frequent(queries: Mapping[str, int], least: int, most: int) -> list[str]:
    """The queries of most clients, each in one spelling. What fewer than `least` ask is nobody else's search."""
    spelled: dict[str, str] = {}
    for text, asking in queries.items():
        if asking >= least:
            spelled.setdefault(normalise(text), text)
    return list(spelled.values())[:most]


def _readings(corpus: OpenCorpus, texts: Sequence[str], emit: Emit) -> Readings:
    """By the query's own text."""
    found = read_queries(corpus, dict(zip(texts, texts, strict=True)), emit)
    return {one.query_id: one.reading for one in found if one.reading.candidates}


_Orders = dict[str, list[str]]


def _orders(
    readings: Readings, challenger: LearnedScorer, champion: Scorer | None, emit: Emit
) -> tuple[_Orders, _Orders, dict[str, str]]:
    """The doc_ids of each query before and after, best first; and what failed."""
    named: list[tuple[str, Scorer | None]] = [("frequent queries: after", challenger)]
    named.append(("frequent queries: before", champion))
    found = run_arms(readings, ranks(named, None), "", time.perf_counter, lambda name, done, total: emit(
        "progress", {"stage": name, "done": done, "total": total}
    ))  # fmt: skip
    if found.failed:
        return {}, {}, found.failed
    after, *before = (found.systems[name] for name, scorer in named if scorer is not None)
    runs = (before[0] if before else retrieval_arm(readings), after)
    one, two = ({text: [doc.doc_id for doc in rank_order(run[text])] for text in readings} for run in runs)
    return one, two, {}


_Clients = AbstractSet[str] | None


@dataclass(frozen=True, slots=True)
class _Taught:
    """Whom the labels of some documents rest on.

    `good`: cluster of queries → doc_id → clients; None where it was not by what clients did alone.
    `clusters`: normalised query → its cluster, of the queries that were learned from.
    """

    good: Mapping[str, Mapping[str, _Clients]]
    clusters: Mapping[str, str]

    @classmethod
    def of(
        cls, corpus: OpenCorpus, taught: Sequence[Triplet], queries: Sequence[str], risen: Collection[str]
    ) -> _Taught:
        """From the triplets that the model was trained on, and from the log: of the documents that rose, and of all
        that are good for these queries.
        """
        labels = labels_by_query(taught)
        of_label = query_clusters([label.query for label in labels])
        by_id = dict(zip((label.query_id for label in labels), of_label, strict=True))
        clusters = dict(zip((normalise(label.query) for label in labels), of_label, strict=True))
        asked = {clusters.get(normalise(query)) for query in queries}
        wanted = [t for t in taught if t.positive[0] in risen or by_id[t.query_id] in asked]
        users = _Users(corpus.store.logs.acts(corpus.corpus_id, {t.positive[0] for t in wanted}))
        good: defaultdict[str, dict[str, _Clients]] = defaultdict(dict)
        for triplet in wanted:
            doc_id, own = triplet.positive[0], good[by_id[triplet.query_id]]
            own[doc_id] = _joined(own.get(doc_id, frozenset()), users.behind(doc_id, triplet.query), triplet.source)
        return cls(good, clusters)

    def few(self, model: LearnedReranker, reading: Reading, doc_id: str, least: int) -> tuple[int, int | None]:
        """How many clients a document rises on, 0 where it is not on fewer than `least`; and its rank without them."""
        known = [
            Label(cluster, likeness, self.good.get(cluster, {}).get(doc_id))
            for cluster, likeness in model.recalled(reading, doc_id)
        ]
        few = few_behind(known, least)
        without = _rank_without(few, model, reading, doc_id)
        if stands_on(without):
            return len(few.clients), without
        own = self.good.get(self.clusters.get(normalise(reading.query), ""), {})
        return len(against_crowd(doc_id, own, least)), None


def _joined(known: _Clients, more: AbstractSet[str], source: Source) -> _Clients:
    """A model that says the same is no further client, and no judge beside whom clients need not be counted."""
    return None if known is None or source not in (Source.LOGS, Source.JUDGE) else known | more


class _Users:
    """Who used which document for which queries."""

    def __init__(self, acts: Iterable[Acts]) -> None:
        self._of: defaultdict[str, dict[frozenset[str], set[str]]] = defaultdict(dict)
        for one in acts:
            if opinion(one.feedback).use > 0:
                words = content_words(one.query)
                self._of[one.doc_id].setdefault(words, set()).add(one.client_id or NAMELESS)

    def behind(self, doc_id: str, query: str) -> set[str]:
        """The clients who used it for this query or one like it: as mining counts whether others agree."""
        words, used = content_words(query), self._of[doc_id]
        return set().union(*(clients for other, clients in used.items() if alike(words, other)))


def _rank_without(few: FewBehind, model: LearnedReranker, reading: Reading, doc_id: str) -> int | None:
    """The document's rank if the model did not remember what few clients did; None where it remembers no such thing."""
    if not few.clients:
        return None
    scores = model.without(doc_id, few.clusters).score(reading)
    return _place([doc.doc_id for doc in ranked(reading, scores)], doc_id)


def _place(order: Sequence[str], doc_id: str) -> int:
    return order.index(doc_id) + FIRST_RANK
