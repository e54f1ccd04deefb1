"""One data folder with everything that is open on it: store, settings, encoder, indexes, models. What the pipeline
loads from and saves to. Safe for threads; one per process.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tribrid.config import Config, Environment, Origin, resolve
from tribrid.corpus.prices import Prices, load_prices
from tribrid.errors import ModelUnavailable, TribridError
from tribrid.retrieval.index import Index
from tribrid.retrieval.search import Retrieved, Retriever
from tribrid.scoring.cross_encoder import HubCrossEncoder
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import LearnedReranker, Reading
from tribrid.scoring.models import ensure_export
from tribrid.scoring.onnx import Encoder
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer
from tribrid.scoring.tokens import PassageEmbedder, PassageTokens
from tribrid.store import Store
from tribrid.types import Candidate

STATISTICS_PASSAGES = 20_000
"""Passages from which document frequencies are counted; more would change an IDF in its third digit."""
_MODELS_KEPT = 8


def now_us() -> int:
    """The time, in microseconds since 1970 in UTC."""
    return time.time_ns() // 1000


class Workspace:
    """See the module."""

    def __init__(self, environment: Environment) -> None:
        """Open the folder, making it if there is none.

        Raises:
            Unavailable: the folder or the database cannot be opened.
        """
        self.environment = environment
        self.data_dir: Path = environment.data_dir
        self.store = Store.open(self.data_dir, environment.database_url)
        self._lock = threading.RLock()
        self._embedders: dict[str, PassageEmbedder] = {}
        self._indexes: dict[str, Index] = {}
        self._scorers: dict[tuple[str, str, int], Scorer] = {}
        self._broken: dict[tuple[str, str, int], TribridError] = {}

    def close(self) -> None:
        """Close the store. The workspace is not used after it."""
        self.store.close()

    @cached_property
    def prices(self) -> Prices:
        """The price list of the operator, or the shipped one."""
        return load_prices(self.environment.models_file)

    @property
    def models_dir(self) -> Path:
        """Where exports of base models are kept."""
        return self.data_dir / "models"

    def settings(self, corpus_id: str | None = None) -> tuple[Config, dict[str, dict[str, Origin]]]:
        """The settings in force, for a corpus or in general, and where each came from."""
        return resolve(
            environment=self.environment.overrides,
            stored=self.store.settings.get(""),
            corpus=self.store.settings.get(corpus_id) if corpus_id else None,
        )

    def config(self, corpus_id: str | None = None) -> Config:
        """The settings in force."""
        return self.settings(corpus_id)[0]

    def embedder(self, config: Config) -> PassageEmbedder:
        """The encoder of passages and queries; exported at its first use, which takes some seconds.

        Raises:
            ModelUnavailable, MissingExtra: it cannot be loaded or exported.
        """
        name = config.indexing.embedding_model
        with self._lock:
            if name not in self._embedders:
                self._embedders[name] = PassageEmbedder(Encoder(ensure_export(self.models_dir, name, "encoder")))
            return self._embedders[name]

    def share_encoders(self, other: Workspace) -> None:
        """Use the encoders that another workspace has loaded, instead of loading them again."""
        self._embedders = other._embedders

    def index(self, corpus_id: str) -> Index:
        """The corpus's index; empty if nothing was indexed yet."""
        with self._lock:
            if corpus_id not in self._indexes:
                self._indexes[corpus_id] = Index.open(self.index_dir(corpus_id))
            return self._indexes[corpus_id]

    def index_dir(self, corpus_id: str) -> Path:
        """Where the corpus's index lives. Corpus ids cannot hold a path separator (checked when created)."""
        return self.data_dir / "indexes" / corpus_id

    def forget_corpus(self, corpus_id: str) -> None:
        """Remove the corpus's index, which is derived data; its rows are the store's to delete."""
        with self._lock:
            self._indexes.pop(corpus_id, None)
        shutil.rmtree(self.index_dir(corpus_id), ignore_errors=True)

    def run_dir(self, run_id: str) -> Path:
        """Where a training keeps its checkpoint."""
        return self.data_dir / "runs" / run_id

    def retriever(self, corpus_id: str, config: Config) -> Retriever:
        """First-stage search over the corpus."""
        return Retriever(self.index(corpus_id), self.embedder(config), config.retrieval)

    def read(self, corpus_id: str, query: str, retrieved: Retrieved, config: Config, depth: int) -> Reading:
        """What a reranker reads of a search: the first `depth` candidates with their tokens."""
        candidates = retrieved.candidates[:depth]
        embedder = self.embedder(config)
        tokens = self._tokens(corpus_id, candidates, embedder, config.reranking.rerank_input_snippet_chars)
        return Reading(query, embedder.query_tokens(query), candidates, tokens)

    def _tokens(
        self, corpus_id: str, candidates: Sequence[Candidate], embedder: PassageEmbedder, snippet_chars: int
    ) -> list[PassageTokens]:
        blobs = dict(self.index(corpus_id).tokens([c.passage.key for c in candidates]))
        # A passage that a newer version of the index no longer holds is encoded from its text, as it was shown.
        gone = [c.passage for c in candidates if c.passage.key not in blobs]
        if gone:
            blobs.update(zip([p.key for p in gone], embedder.embed_passages(gone)[1], strict=True))
        return [embedder.codec.unpack(blobs[c.passage.key], snippet_chars) for c in candidates]

    def statistics(self, corpus_id: str, config: Config) -> CorpusStatistics:
        """Document frequencies of the corpus as it is now."""
        embedder, index = self.embedder(config), self.index(corpus_id)
        snapshot = index.snapshot()
        keys = snapshot.keys()[:: max(1, index.count() // STATISTICS_PASSAGES)] if snapshot else []
        found: list[PassageTokens] = []
        for start in range(0, len(keys), 1000):
            for blob in index.tokens(keys[start : start + 1000]).values():
                tokens = embedder.codec.unpack(blob, config.reranking.rerank_input_snippet_chars)
                # Only the ids are counted: vectors of a whole corpus would not fit.
                found.append(PassageTokens(tokens.ids, tokens.vectors[:0], 0))
        return CorpusStatistics.count(found, embedder.vocabulary)

    def learned(self, model_id: str) -> LearnedScorer:
        """A trained model version, loaded once.

        Raises:
            ModelNotFound: no such version.
            ModelUnavailable: its artifact cannot be read.
        """
        scorer = self._scorer(("learning", model_id, 0))
        assert isinstance(scorer, LearnedScorer)  # noqa: S101 - by construction in _load
        return scorer

    def scorer(self, corpus_id: str, config: Config) -> Scorer | None:
        """Who reranks this corpus now; None where nobody is meant to (mode none, or nothing promoted yet).

        Raises:
            ModelUnavailable, MissingExtra: somebody is meant to and cannot.
        """
        mode = config.reranking.reranker_mode
        if mode == "cloud":
            raise ModelUnavailable("Mode cloud is not part of this version: use learning, local or none.")
        if mode == "learning":
            champion = self.store.models.alias(corpus_id, "champion")
            return self._scorer(("learning", champion, 0)) if champion else None
        if mode == "local":
            name = config.reranking.reranker_local_model
            if not name:
                raise ModelUnavailable(
                    "Mode local needs reranking.reranker_local_model: a Hugging Face id or a folder."
                )
            return self._scorer(("local", name, config.reranking.rerank_input_snippet_chars))
        return None

    def _scorer(self, key: tuple[str, str, int]) -> Scorer:
        with self._lock:
            if key not in self._scorers:
                if key in self._broken:  # do not try a broken model again with every search
                    raise self._broken[key]
                try:
                    loaded = self._load(key)
                except ModelUnavailable as error:
                    self._broken[key] = error
                    raise
                while len(self._scorers) >= _MODELS_KEPT:
                    del self._scorers[next(iter(self._scorers))]
                self._scorers[key] = loaded
            return self._scorers[key]

    def _load(self, key: tuple[str, str, int]) -> Scorer:
        kind, name, snippet_chars = key
        if kind == "learning":
            model = self.store.models.get(name)
            return LearnedScorer(name, LearnedReranker(self.store.artifacts.path(model.artifact)))
        folder = ensure_export(self.models_dir, name, "cross-encoder")
        return LocalScorer(name, HubCrossEncoder(folder, snippet_chars))

    def local_cost(self, kind: Any, model: str, units: float, compute_s: float | None) -> Mapping[str, Any]:
        """The cost entry of work done on this machine: 0 dollars and its seconds."""
        return self.prices.estimate(kind, model, units, provider="local", compute_s=compute_s)
