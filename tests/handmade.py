"""A data folder, and what usually takes hours to come into it, written by hand: model versions whose order is known
(real artifacts) and trainings that ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tribrid.config import read_environment
from tribrid.loop.index import index
from tribrid.mining.splits import query_clusters
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import Reordering, write_artifact
from tribrid.scoring.memory import Memory, PastQueries
from tribrid.store.database import now_us
from tribrid.training.lists import labels_by_query
from tribrid.training.onnx_blend import Linear, blend_of
from tribrid.types import Document, JobKind, ModelVersion, State, Triplet
from tribrid.types.stored import Manifest
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.data_folder import DataFolder


def nothing(*_: object) -> None:
    """Takes progress and forgets it."""


def opened(path: Path) -> DataFolder:
    """A data folder at this path, with the tests' encoder."""
    return DataFolder(read_environment().model_copy(update={"data_dir": path}))


def indexed(ws: DataFolder, corpus_id: str, documents: Iterable[Document]) -> None:
    """A new corpus of these documents."""
    ws.store.corpora.create(corpus_id, corpus_id)
    ws.store.documents.upsert(corpus_id, list(documents))
    index(open_corpus(ws, corpus_id), nothing)


def training(ws: DataFolder, corpus_id: str, state: State, model_id: str | None = None, why: str = "") -> str:
    """The id of a training that ended in this state."""
    run_id = ws.store.jobs.create(JobKind.TRAIN, corpus_id, {}).job_id
    ws.store.jobs.finish(run_id, state, {"model_id": model_id} if model_id else None, {"detail": why} if why else None)
    return run_id


def model(ws: DataFolder, corpus_id: str, weight: float, told: Manifest | None = None) -> str:
    """A model that ranks by `weight` times the fused score: 1 keeps the retrieval order, -1 turns it over.

    Args:
        told: its manifest, as the store has it.
    """
    linear = Linear(("fused",), np.zeros(1), np.ones(1), np.ones(1) * weight)
    return _stored(
        ws, corpus_id, linear, Memory(PastQueries.of(np.zeros((0, 32), np.float32), []), (), {}), weight, told
    )


def remembering(ws: DataFolder, corpus_id: str, triplets: Sequence[Triplet]) -> str:
    """A model that puts first what it remembers as good for a like query, and was taught so by these triplets."""
    set_id = ws.store.triplets.put(corpus_id, {}, {}, triplets).triplet_set_id
    labels, embedder = labels_by_query(triplets), open_corpus(ws, corpus_id).embedder
    tokens = [embedder.query_tokens(own.query) for own in labels]
    past = PastQueries.of(np.stack([one.embedding for one in tokens]), [one.ids for one in tokens])
    memory = Memory.of(past, query_clusters([own.query for own in labels]), [own.good for own in labels])
    linear = Linear(("fused", "memory_best"), np.zeros(2), np.ones(2), np.array([1.0, 100.0]))
    told: Manifest = {"data": {"triplet_set_id": set_id, "sha256": "s"}}
    return _stored(ws, corpus_id, linear, memory, 1.0, told)


def _stored(
    ws: DataFolder, corpus_id: str, linear: Linear, memory: Memory, weight: float, told: Manifest | None
) -> str:
    corpus = open_corpus(ws, corpus_id)
    staged = ws.store.artifacts.stage()
    staged.mkdir(parents=True, exist_ok=True)
    encoder = corpus.embedder
    write_artifact(
        staged,
        manifest={"corpus_id": corpus_id, "encoder": encoder.fingerprint, "config": {"weight": weight}},
        blends={"blend": blend_of(linear)},
        statistics=CorpusStatistics.count([], encoder.vocabulary, encoder.dim),
        memory=memory,
        snippet_chars=corpus.config.reranking.rerank_input_snippet_chars,
        cross_encoder=Reordering(0.0, 5),
    )
    digest = ws.store.artifacts.commit(staged)
    ws.store.models.put(ModelVersion(digest[:16], corpus_id, "handmade", digest, told or {}, now_us()))
    return digest[:16]
