"""One data folder with everything that is open on it: store, settings, encoder, indexes, models. What the pipeline
loads from and saves to. Safe for threads; one per process.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from tribrid.cloud.client import CloudScorer
from tribrid.cloud.clouds import Arm, Clouds
from tribrid.cloud.prices import Prices, load_prices
from tribrid.config import Config, Environment, Origin, resolve
from tribrid.encoders.cross_encoder import HubCrossEncoder
from tribrid.encoders.engine import Engine, Runtime, cores
from tribrid.encoders.loading import LoadOnce
from tribrid.encoders.models import ensure_export, public_name
from tribrid.encoders.onnx import Encoder
from tribrid.encoders.score_cache import ScoreCache
from tribrid.encoders.text_cache import EmbeddedTexts
from tribrid.encoders.token_cache import KeptTokens
from tribrid.encoders.tokens import PassageEmbedder, PassageTokens
from tribrid.encoders.variants import MANIFEST as EXPORTED
from tribrid.errors import ModelUnavailable, StaleIndex
from tribrid.observing import timed
from tribrid.retrieval.index import Index
from tribrid.retrieval.search import Retriever
from tribrid.scoring.fallbacks import Fallbacks
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import LearnedReranker, Reading
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer
from tribrid.store import Store
from tribrid.types import Candidate, Passage

STATISTICS_PASSAGES = 20_000
"""Passages from which document frequencies are counted; more would change an IDF in its third digit."""
_MODELS_KEPT = 8


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
        self.clouds = Clouds(environment, self.store.spending, lambda: self.prices)
        self._lock = threading.RLock()
        self._indexes: dict[str, Index] = {}
        self._embedders: LoadOnce[str, PassageEmbedder] = LoadOnce(self._load_embedder, _MODELS_KEPT)
        self._embedded: dict[str, EmbeddedTexts] = {}
        self._learned: LoadOnce[str, LearnedScorer] = LoadOnce(self._load_learned, _MODELS_KEPT)
        self._local: LoadOnce[tuple[str, int], LocalScorer] = LoadOnce(self._load_local, _MODELS_KEPT)
        self.fallbacks = Fallbacks()

    @cached_property
    def runtime(self) -> Runtime:
        """What every cross-encoder of this workspace runs on; its settings are read when it is first used."""
        serving = self.config().serving
        engine = Engine(serving.threads or cores(), serving.max_waiting_pairs)
        return Runtime(engine, ScoreCache(serving.cached_scores) if serving.cached_scores else None)

    def close(self) -> None:
        """Close the store and the lines to services. The workspace is not used after it."""
        if "runtime" in vars(self) and self.runtime.engine is not None:
            self.runtime.engine.close()
        self.clouds.close()
        self.store.close()

    @cached_property
    def prices(self) -> Prices:
        """The price list of the operator, or the shipped one."""
        return load_prices(self.environment.models_file)

    @property
    def models_dir(self) -> Path:
        """Where exports of base models are kept; several data folders may share it."""
        return self.environment.models_dir or self.data_dir / "models"

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
        return self._embedders.get(config.indexing.embedding_model)

    def _load_embedder(self, name: str) -> PassageEmbedder:
        return PassageEmbedder(Encoder(ensure_export(self.models_dir, name, "encoder")))

    def embedded(self, config: Config) -> EmbeddedTexts:
        """The encoder of texts that are not in an index, with what it encoded lately.

        Raises:
            ModelUnavailable, MissingExtra: as `embedder`.
        """
        embedder = self.embedder(config)
        with self._lock:
            return self._embedded.setdefault(embedder.fingerprint, EmbeddedTexts(embedder))

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

    def forget_corpus(self, corpus_id: str, artifacts: Sequence[str], runs: Sequence[str]) -> None:
        """Remove a deleted corpus's files: its index, its models' artifacts (no other corpus can share one: each says
        which corpus it is of), its trainings' checkpoints.
        """
        self.fallbacks.forget(corpus_id)
        with self._lock:
            self._indexes.pop(corpus_id, None)
        shutil.rmtree(self.index_dir(corpus_id), ignore_errors=True)
        for artifact in artifacts:
            with suppress(ModelUnavailable):  # it is gone already
                shutil.rmtree(self.store.artifacts.path(artifact), ignore_errors=True)
        for run_id in runs:
            shutil.rmtree(self.run_dir(run_id), ignore_errors=True)

    def run_dir(self, run_id: str) -> Path:
        """Where a training keeps its checkpoint."""
        return self.data_dir / "runs" / run_id

    def retriever(self, corpus_id: str, config: Config) -> Retriever:
        """First-stage search over the corpus.

        Raises:
            StaleIndex: the passages were embedded by another encoder than the queries would be, or there is no index
                for the documents that there are.
        """
        index, embedder = self.index(corpus_id), self.embedder(config)
        made_with = index.fingerprint
        if made_with is None and (documents := self.store.documents.count(corpus_id)):
            raise StaleIndex(
                f"The corpus {corpus_id!r} has {documents} documents and no index: it is being made for the first "
                "time, or was lost, or all of them came with a rerank and wait for the next mining. Mine, or index any "
                "document of it again, and all of it is rebuilt.",
                corpus_id=corpus_id,
            )
        if made_with is not None and not made_with.endswith(embedder.fingerprint):
            raise StaleIndex(
                f"The index of {corpus_id!r} was made with another encoder than {embedder.fingerprint}: index the "
                "corpus again, or set indexing.embedding_model back.",
                corpus_id=corpus_id,
            )
        return Retriever(index, embedder, config.retrieval)

    def read(
        self,
        corpus_id: str,
        query: str,
        candidates: Sequence[Candidate],
        config: Config,
        kept: KeptTokens | None = None,
    ) -> Reading:
        """What a reranker reads of a search: its candidates with their tokens, which are read from the index when the
        reranker asks for them; those that read the text alone never do.

        Args:
            kept: for who reads many lists.
        """
        kept = kept or self.kept_tokens(corpus_id, config)
        passages = kept.of([c.passage for c in candidates])
        return Reading(query, self.embedder(config).query_tokens(query), candidates, passages)

    def kept_tokens(self, corpus_id: str, config: Config) -> KeptTokens:
        """The tokens of the corpus's passages, to be read."""
        return KeptTokens(lambda passages: self._tokens(corpus_id, passages, config))

    @timed("read")
    def _tokens(self, corpus_id: str, passages: Sequence[Passage], config: Config) -> list[PassageTokens]:
        """What the index keeps of these passages. One that a newer version of it no longer holds is encoded from its
        text, as it was shown.
        """
        embedder = self.embedder(config)
        blobs = dict(self.index(corpus_id).tokens([p.key for p in passages]))
        gone = [p for p in passages if p.key not in blobs]
        if gone:
            blobs.update(zip([p.key for p in gone], embedder.embed_passages(gone)[1], strict=True))
        return [embedder.codec.unpack(blobs[p.key]) for p in passages]

    def statistics(self, corpus_id: str, config: Config) -> CorpusStatistics:
        """Document frequencies of the corpus as it is now."""
        embedder, index = self.embedder(config), self.index(corpus_id)
        snapshot = index.snapshot()
        keys = snapshot.keys()[:: max(1, index.count() // STATISTICS_PASSAGES)] if snapshot else []
        passages = (
            embedder.codec.unpack(blob).cut(config.reranking.rerank_input_snippet_chars)
            for start in range(0, len(keys), 1000)
            for blob in index.tokens(keys[start : start + 1000]).values()
        )
        return CorpusStatistics.count(passages, embedder.vocabulary)

    def learned(self, model_id: str, config: Config) -> LearnedScorer:
        """A trained model version, loaded once.

        Raises:
            ModelNotFound: no such version.
            ModelUnavailable: its artifact cannot be read, or it was trained on another encoder's tokens.
        """
        scorer = self._learned.get(model_id)
        trained_on, now = scorer.reranker.manifest.get("encoder"), self.embedder(config).fingerprint
        if trained_on != now:
            raise ModelUnavailable(
                f"Model {model_id} was trained on what {trained_on} reads; indexing.embedding_model is now {now}. "
                "Train again.",
                model_id=model_id,
            )
        return scorer

    def scorer(self, corpus_id: str, config: Config) -> Scorer | None:
        """Who reranks this corpus now; None where nobody is meant to (mode none, or nothing promoted yet).

        Raises:
            ModelUnavailable, MissingExtra: somebody is meant to and cannot.
        """
        mode = config.reranking.reranker_mode
        if mode == "cloud":
            return self.clouds.scorer(corpus_id, config.reranking, self.config().reranking)
        if mode == "learning":
            champion = self.store.models.alias(corpus_id, "champion")
            return self.learned(champion, config) if champion else None
        if mode == "local":
            name = config.reranking.reranker_local_model
            if not name:
                raise ModelUnavailable(
                    "Mode local needs reranking.reranker_local_model: a Hugging Face id or a folder."
                )
            return self.local(name, config)
        return None

    def rival(self, corpus_id: str, config: Config, arm: Arm | None = None) -> CloudScorer:
        """A rerank service as an evaluation asks it, with patience: mode cloud's, or that of an outside arm.

        Raises:
            ModelUnavailable: mode cloud cannot be asked.
            InvalidInput: the arm's service may not be asked, or cannot; names the arm.
        """
        return self.clouds.rival(corpus_id, config.reranking, self.config().reranking, arm)

    def local(self, name: str, config: Config) -> LocalScorer:
        """A Hugging Face cross-encoder as it is: by its id, its folder, or the folder of its export.

        Raises:
            ModelUnavailable, MissingExtra: it cannot be loaded or exported.
        """
        return self._local.get((name, config.reranking.rerank_input_snippet_chars))

    def loaded_scorers(self) -> list[Scorer]:
        """Those that are in memory."""
        return [*self._learned.loaded(), *self._local.loaded()]

    def _load_learned(self, model_id: str) -> LearnedScorer:
        artifact = self.store.artifacts.verified(self.store.models.get(model_id).artifact)
        return LearnedScorer(model_id, LearnedReranker(artifact, self.runtime))

    def _load_local(self, key: tuple[str, int]) -> LocalScorer:
        name, snippet_chars = key
        exported = (Path(name) / EXPORTED).is_file()
        folder = Path(name) if exported else ensure_export(self.models_dir, name, "cross-encoder")
        local = HubCrossEncoder(folder, snippet_chars, self.runtime)
        told = str(local.description.get("model_id", name)) if exported else name
        return LocalScorer(public_name(told), local)
