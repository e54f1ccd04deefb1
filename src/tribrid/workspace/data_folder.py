"""One data folder with everything that is open on it: store, encoders, indexes, models. What the verbs load from and
save to. Safe for threads; one per process.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from functools import cached_property
from itertools import starmap
from pathlib import Path

from tribrid.cloud.clouds import Clouds
from tribrid.cloud.prices import Prices, load_prices
from tribrid.compute.shards import Shards, processes, ray_cluster
from tribrid.config import Config, Environment, Overrides, child_environment, resolve
from tribrid.encoders.cross_encoder import HubCrossEncoder
from tribrid.encoders.engine import Engine, Runtime
from tribrid.encoders.loading import LoadOnce
from tribrid.encoders.models import public_name
from tribrid.encoders.score_cache import ScoreCache
from tribrid.encoders.tokens import PassageEmbedder
from tribrid.encoders.turns import cores
from tribrid.encoders.variants import MANIFEST as EXPORTED
from tribrid.retrieval.graph import Graph, Node
from tribrid.retrieval.index import Index
from tribrid.retrieval.metadata import Described, Metadata
from tribrid.scoring.learned import LearnedReranker
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer
from tribrid.store import Store
from tribrid.store.corpora import CorpusRow
from tribrid.store.objects import Objects
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.training.lists import labels_by_query
from tribrid.workspace.copies import Copies
from tribrid.workspace.encoders import Encoders
from tribrid.workspace.exports import Exports
from tribrid.workspace.fallbacks import Fallbacks
from tribrid.workspace.unlogged import Unlogged
from tribrid.workspace.uploads import FolderUploads, SharedUploads, Uploads

_MODELS_KEPT = 8
_CONFIGS_KEPT = 100
_METADATA_KEPT = 8
_GraphKey = tuple[str, int, int, tuple[str, int] | None]
"""A corpus, and what its graph is made of."""


class DataFolder:
    """See the module."""

    def __init__(self, environment: Environment) -> None:
        """Open the folder, making it if there is none.

        Raises:
            Unavailable: the folder or the database cannot be opened.
        """
        self.environment = environment
        self.data_dir: Path = environment.data_dir
        self.objects = Objects(environment.storage_url) if environment.storage_url else None
        self.store = Store.open(self.data_dir, environment.database_url, self.objects)
        self.clouds = Clouds(environment, self.store.spending, lambda: self.prices)
        self._lock = threading.RLock()
        self._indexes: dict[str, Index] = {}
        self._configs: dict[str, Config] = {}
        self._exports = Exports(self.models_dir, self.objects)
        self.encoders = Encoders(self._exports, lambda: self.config().serving.threads)
        self._learned: LoadOnce[str, LearnedScorer] = LoadOnce(self._load_learned, _MODELS_KEPT)
        self._local: LoadOnce[tuple[str, int], LocalScorer] = LoadOnce(self._load_local, _MODELS_KEPT)
        self._metadata: LoadOnce[tuple[str, int, int], Metadata] = LoadOnce(self._load_metadata, _METADATA_KEPT)
        self._graphs: LoadOnce[_GraphKey, Graph] = LoadOnce(self._load_graph, _METADATA_KEPT)
        self.copies = Copies(self.store, self.objects, self._cache_bytes) if self.objects else None
        self.uploads: Uploads = SharedUploads(self.store) if self.objects else FolderUploads(self.data_dir)
        self.fallbacks = Fallbacks()
        self.unlogged = Unlogged()

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
        if self.copies is not None:
            self.copies.close()
        self.store.close()

    @cached_property
    def prices(self) -> Prices:
        """The price list of the operator, or the shipped one."""
        return load_prices(self.environment.models_file)

    def _cache_bytes(self) -> int:
        return self.config().serving.cache_mb * 2**20

    @property
    def models_dir(self) -> Path:
        """Where exports of base models are kept; several data folders may share it."""
        return self.environment.models_dir or self.data_dir / "models"

    def config(self) -> Config:
        """The settings in force where no corpus says otherwise."""
        return self.resolved(self.store.settings.get(GLOBAL_SCOPE), {})

    def resolved(self, everywhere: Overrides, own: Overrides) -> Config:
        """The settings that these overrides make: checked once, for they seldom change."""
        key = json.dumps([everywhere, own], sort_keys=True)
        with self._lock:
            if key not in self._configs:
                if len(self._configs) >= _CONFIGS_KEPT:
                    self._configs.clear()
                overrides = self.environment.overrides
                self._configs[key] = resolve(environment=overrides, stored=everywhere, corpus=own)[0]
            return self._configs[key]

    def embedder(self, config: Config) -> PassageEmbedder:
        """The encoder of passages and queries; exported at its first use, which takes some seconds.

        Raises:
            ModelUnavailable, MissingExtra: it cannot be loaded or exported.
        """
        return self.encoders.embedder(config)

    def shards(self, *, of_state: bool = False) -> Shards | None:
        """Who does long work, piece by piece; None: who asks, on threads.

        Args:
            of_state: it needs rows and indexes: nobody on another machine can do it if they are on this one alone.
        """
        config = self.config()
        environ = child_environment(self.environment)
        if config.compute.ray_address and not (of_state and self.objects is None):
            return ray_cluster(config.compute.ray_address, environ)
        if (count := config.compute.processes) == 1:
            return None
        return processes(count, max(1, (config.serving.threads or cores()) // count), environ)

    def share_encoders(self, other: DataFolder) -> None:
        """Use the encoders that another workspace has loaded, instead of loading them again."""
        self.encoders.share(other.encoders)

    def index(self, corpus_id: str) -> Index:
        """The corpus's index; empty if nothing was indexed yet."""
        with self._lock:
            if corpus_id not in self._indexes:
                self._indexes[corpus_id] = self._opened(corpus_id)
            return self._indexes[corpus_id]

    def _opened(self, corpus_id: str) -> Index:
        folder = self.index_dir(corpus_id)
        if self.copies is None:
            return Index.open(folder)
        return self.copies.index(corpus_id, folder)

    def metadata(self, corpus: CorpusRow) -> Metadata:
        """What filters see of the corpus's documents, as of this version of it or a newer one."""
        return self._metadata.get((corpus.corpus_id, corpus.created_us, corpus.version))

    def _load_metadata(self, key: tuple[str, int, int]) -> Metadata:
        return Metadata(starmap(Described, self.store.documents.described(key[0])))

    def graph(self, corpus: CorpusRow, mined: tuple[str, int] | None) -> Graph:
        """What of the corpus's documents belongs together, as of this version of it or a newer one.

        Args:
            mined: a set of triplets, and how many were erased from it; None: as documents alone say.
        """
        return self._graphs.get((corpus.corpus_id, corpus.created_us, corpus.version, mined))

    def _load_graph(self, key: _GraphKey) -> Graph:
        corpus_id, _, _, mined = key
        labels = labels_by_query(self.store.triplets.load(mined[0])) if mined else ()
        nodes = (
            Node(doc_id, place.uri, place.parent_id, found)
            for doc_id, place, found in self.store.mentions.all(corpus_id)
        )
        return Graph(nodes, (own.good for own in labels))

    def index_dir(self, corpus_id: str) -> Path:
        """Where the corpus's index lives. Corpus ids cannot hold a path separator (checked when created)."""
        return self.data_dir / "indexes" / corpus_id

    def forget_corpus(self, corpus_id: str, artifacts: Sequence[str], runs: Sequence[str]) -> None:
        """Remove a deleted corpus's files: its index, its models' artifacts (no other corpus can share one: each says
        which corpus it is of), its trainings' checkpoints.

        Raises:
            StorageUnavailable: what is in the object store is not removed.
        """
        self.fallbacks.forget(corpus_id)
        with self._lock:
            self._indexes.pop(corpus_id, None)
        shutil.rmtree(self.index_dir(corpus_id), ignore_errors=True)
        for run_id in runs:
            shutil.rmtree(self.run_dir(run_id), ignore_errors=True)
        for artifact in artifacts:
            self.store.artifacts.remove(artifact)
        if self.copies is not None:
            self.copies.forget(corpus_id)

    def run_dir(self, run_id: str) -> Path:
        """Where a training keeps its checkpoint."""
        return self.data_dir / "runs" / run_id

    def trained(self, model_id: str) -> LearnedScorer:
        """A trained model version, loaded once.

        Raises:
            ModelNotFound: no such version.
            ModelUnavailable: its artifact cannot be read.
        """
        return self._learned.get(model_id)

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
        folder = Path(name) if exported else self._exports.ensure(name, "cross-encoder")
        local = HubCrossEncoder(folder, snippet_chars, self.runtime)
        told = str(local.description.get("model_id", name)) if exported else name
        return LocalScorer(public_name(told), local)
