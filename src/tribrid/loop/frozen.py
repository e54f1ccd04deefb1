"""Many queries at once, each with what a reranker reads of it, and the frozen task of a comparison."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tribrid.evaluation.answerable import is_answerless
from tribrid.evaluation.arms import Readings, freeze
from tribrid.evaluation.inputs import FrozenCandidates
from tribrid.loop.finding import find
from tribrid.scoring.features import Features
from tribrid.scoring.learned import Reading
from tribrid.scoring.signals import Described, Metadata
from tribrid.store.evalsets import Bundle
from tribrid.types import LEGS, Emit, EvalDataset, ScoredDoc
from tribrid.workspace.corpus import OpenCorpus


@dataclass(frozen=True, slots=True)
class Retrieved:
    """One query's candidates as they would be served; `legs`: each leg's own ranking; `features`: their `own_features`,
    where it is learned from and there are any.
    """

    query_id: str
    reading: Reading
    legs: Mapping[str, Sequence[ScoredDoc]]
    features: Features | None


def read_queries(
    corpus: OpenCorpus, queries: Mapping[str, str], emit: Emit, *, teaching: bool = False
) -> Iterator[Retrieved]:
    """Search for each query (query_id → text), one after the other, as they are asked for; many are searched by others.

    The readings hold no tokens: these are read from the index when they are used, and only the latest are kept, so
    that memory does not grow with the queries.

    Args:
        teaching: they are learned from.
    """
    kept, told = corpus.kept_tokens(), _told(corpus, queries)
    step = max(1, len(queries) // 20)
    searched = find(corpus, list(queries.values()), kept, teaching=teaching)
    for number, ((query_id, text), found) in enumerate(zip(queries.items(), searched, strict=True), 1):
        reading = corpus.read(text, found.candidates, kept, found.tokens)
        if text in told:
            reading = replace(reading, described=partial(_described, corpus.described, told[text]))
        yield Retrieved(query_id, reading, found.legs, found.features)
        if number % step == 0:
            emit("progress", {"stage": "retrieval", "done": number, "total": len(queries)})


def _told(corpus: OpenCorpus, queries: Mapping[str, str]) -> Mapping[str, Metadata]:
    """Query → what came of the documents' fields when it was last reranked: that is what was chosen from."""
    if not corpus.config.features.fields:
        return {}
    return corpus.store.logs.given_fields(corpus.corpus_id, list(dict.fromkeys(queries.values())))


def _described(stored: Described, told: Metadata, doc_ids: Collection[str]) -> Metadata:
    known = stored(doc_ids)
    return {doc_id: {**known.get(doc_id, {}), **told.get(doc_id, {})} for doc_id in doc_ids}


@dataclass(frozen=True, slots=True)
class Task:
    """What every system of a comparison is given, frozen before any of them runs."""

    dataset: EvalDataset
    readings: Readings
    legs: dict[str, dict[str, list[ScoredDoc]]]
    candidates: FrozenCandidates


def read_task(corpus: OpenCorpus, dataset: EvalDataset, emit: Emit) -> Task:
    """Retrieve every query's candidates, freeze them, and note with the dataset what it is measured on. Queries without
    an answer are retrieved too: no measure reads them, but it is looked at whether scores tell them apart.
    """
    config = corpus.config
    asked = [query for query in dataset.queries if query.has_positive or is_answerless(query)]
    queries = {query.query_id: query.text for query in sorted(asked, key=lambda query: query.query_id)}
    readings: dict[str, Reading] = {}
    legs: dict[str, dict[str, list[ScoredDoc]]] = {leg: {} for leg in LEGS}
    for found in read_queries(corpus, queries, emit):
        readings[found.query_id] = found.reading
        for leg, run in found.legs.items():
            legs.setdefault(leg, {})[found.query_id] = list(run)
    frozen = freeze(readings, config.reranking.tribrid_reranker_topn)
    # By corpus, because everything goes with its corpus, and two corpora may give the same lists.
    key, payload = f"{corpus.corpus_id}/{frozen.sha256}", {"depth": frozen.depth, "doc_ids": frozen.doc_ids}
    corpus.store.candidates.put(key, corpus.corpus_id, payload)
    bundle = Bundle(
        sha256=dataset.sha256,
        candidates_sha256=frozen.sha256,
        corpus_version=corpus.version,
        depth=frozen.depth,
        settings={
            "embedding_model": config.indexing.embedding_model,
            "retrieval": config.retrieval.model_dump(mode="json"),
        },
    )
    before = corpus.store.evalsets.freeze(corpus.corpus_id, bundle)
    return Task(dataset, readings, legs, replace(frozen, origin=bundle.origin(before)))
