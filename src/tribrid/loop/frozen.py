"""What a comparison is made on: every eval query's candidates, retrieved once and frozen before any system runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tribrid.config import Config
from tribrid.evaluation.arms import Readings, freeze
from tribrid.evaluation.measures import evaluable
from tribrid.evaluation.report import FrozenCandidates
from tribrid.loop.reading import read_queries
from tribrid.scoring.learned import Reading
from tribrid.store.evalsets import Bundle
from tribrid.types import LEGS, Emit, EvalDataset, ScoredDoc
from tribrid.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Task:
    """What every system of a comparison is given, frozen before any of them runs."""

    config: Config
    dataset: EvalDataset
    readings: Readings
    legs: dict[str, dict[str, list[ScoredDoc]]]
    candidates: FrozenCandidates


def read_task(ws: Workspace, dataset: EvalDataset, emit: Emit) -> Task:
    """Retrieve every query's candidates, freeze them, and note with the dataset what it is measured on."""
    corpus_id = dataset.corpus_id
    config, version = ws.config(corpus_id), ws.store.corpora.get(corpus_id).version
    queries = {query.query_id: query.text for query in evaluable(dataset.queries)}
    readings: dict[str, Reading] = {}
    legs: dict[str, dict[str, list[ScoredDoc]]] = {leg: {} for leg in LEGS}
    for found in read_queries(ws, corpus_id, queries, config, emit):
        readings[found.query_id] = found.reading
        for leg, run in found.legs.items():
            legs[leg][found.query_id] = list(run)
    frozen = freeze(readings, config.reranking.tribrid_reranker_topn)
    # By corpus, because everything goes with its corpus, and two corpora may give the same lists.
    key, payload = f"{corpus_id}/{frozen.sha256}", {"depth": frozen.depth, "doc_ids": frozen.doc_ids}
    ws.store.candidates.put(key, corpus_id, payload)
    bundle = Bundle(
        sha256=dataset.sha256,
        candidates_sha256=frozen.sha256,
        corpus_version=version,
        depth=frozen.depth,
        settings={
            "embedding_model": config.indexing.embedding_model,
            "retrieval": config.retrieval.model_dump(mode="json"),
        },
    )
    before = ws.store.evalsets.freeze(corpus_id, bundle)
    return Task(config, dataset, readings, legs, replace(frozen, origin=bundle.origin(before)))
