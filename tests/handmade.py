"""Model versions whose order is known: real artifacts, written by hand instead of trained."""

from __future__ import annotations

import numpy as np

from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import write_artifact
from tribrid.scoring.memory import Memory, PastQueries
from tribrid.store.database import now_us
from tribrid.training.onnx_blend import Linear, blend_of
from tribrid.types import ModelVersion
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.data_folder import DataFolder


def model(ws: DataFolder, corpus_id: str, weight: float) -> str:
    """A model that ranks by `weight` times the fused score: 1 keeps the retrieval order, -1 turns it over."""
    corpus = open_corpus(ws, corpus_id)
    staged = ws.store.artifacts.stage()
    staged.mkdir(parents=True, exist_ok=True)
    one = np.ones(1)
    encoder = corpus.embedder
    write_artifact(
        staged,
        manifest={"corpus_id": corpus_id, "encoder": encoder.fingerprint, "config": {"weight": weight}},
        blends={"blend": blend_of(Linear(("fused",), np.zeros(1), one, one * weight))},
        statistics=CorpusStatistics(np.ones(encoder.vocabulary, np.float32), 10.0),
        memory=Memory(PastQueries.of(np.zeros((0, 32), np.float32), []), (), {}),
        snippet_chars=corpus.config.reranking.rerank_input_snippet_chars,
        cross_encoder_weight=0.0,
        cross_encoder_depth=5,
    )
    digest = ws.store.artifacts.commit(staged)
    ws.store.models.put(ModelVersion(digest[:16], corpus_id, "handmade", digest, {}, now_us()))
    return digest[:16]
