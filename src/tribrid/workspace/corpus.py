"""One corpus for one call: its settings, index, retriever, champion and scorer, each resolved once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tribrid.cloud.client import CloudScorer
from tribrid.cloud.clouds import ServiceArm
from tribrid.config import Config, with_params
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.token_cache import MOST_BYTES, KeptTokens
from tribrid.encoders.tokens import PassageEmbedder, PassageTokens, QueryTokens
from tribrid.errors import ModelUnavailable, StaleIndex
from tribrid.observing import timed
from tribrid.retrieval.index import Index
from tribrid.retrieval.metadata import Metadata
from tribrid.retrieval.publication import REBUILD
from tribrid.retrieval.search import Retriever
from tribrid.retrieval.selection import Selection
from tribrid.retrieval.walk import GraphLeg
from tribrid.scoring.calibration import first_stage_calibration
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import LearnedScorer, Scorer, UntrainedScorer
from tribrid.store import Store
from tribrid.store.database import now_us
from tribrid.store.settings import CorpusSettings
from tribrid.types import Candidate, JobKind, Passage, State
from tribrid.types.filters import Filter
from tribrid.workspace.data_folder import DataFolder

LEAST_PASSAGES = 100
"""From which on the order before any label serves: what fewer span says little, and nothing was measured on it."""


_LOST = f"it was lost. {REBUILD}"


class OpenCorpus:
    """See the module. What it resolved holds for the call: a promotion or a new setting is seen by the next one.

    Attributes:
        config: the settings in force.
        version: goes up with every change of a document.
        champion_id: the model that serves in mode learning; None for none.
        comparison: of the order before any label with the fused one, on the corpus's own judgments; None: not made yet.
    """

    def __init__(self, folder: DataFolder, found: CorpusSettings, config: Config) -> None:
        self.folder, self.config, self._found = folder, config, found
        self.corpus_id, self.name, self.version = found.row.corpus_id, found.row.name, found.row.version
        self.champion_id, self.created_us = found.champion_id, found.row.created_us
        self.comparison = found.comparison

    def with_params(self, section: str, params: Mapping[str, object]) -> OpenCorpus:
        """The same with one call's parameters laid over a section of its settings.

        Raises:
            UnknownSetting, InvalidInput: naming `section.field`.
        """
        return self.with_config(with_params(self.config, section, params))

    def with_config(self, config: Config) -> OpenCorpus:
        """The same with these settings."""
        return OpenCorpus(self.folder, self._found, config)

    @property
    def store(self) -> Store:
        """The folder's store."""
        return self.folder.store

    @cached_property
    def index(self) -> Index:
        """The corpus's index; empty if nothing was indexed yet."""
        return self.folder.index(self.corpus_id)

    @cached_property
    def embedder(self) -> PassageEmbedder:
        """The encoder of passages and queries.

        Raises:
            ModelUnavailable, MissingExtra: it cannot be loaded or exported.
        """
        return self.folder.embedder(self.config)

    @cached_property
    def retriever(self) -> Retriever:
        """First-stage search over the corpus.

        Raises:
            StaleIndex: the passages were embedded by another encoder than the queries would be, or there is no index
                for the documents that there are.
        """
        made_with, encoder = self.index.fingerprint, self.embedder.fingerprint
        if made_with is None and (documents := self.store.documents.count(self.corpus_id)):
            raise StaleIndex(
                f"The corpus {self.corpus_id!r} has {documents} documents and no index: "
                f"{self.waits_for_index or _LOST}",
                corpus_id=self.corpus_id,
            )
        if made_with is not None and not made_with.endswith(encoder):
            raise StaleIndex(
                f"The index of {self.corpus_id!r} was made with another encoder than {encoder}: index the corpus "
                "again, or set indexing.embedding_model back.",
                corpus_id=self.corpus_id,
            )
        return Retriever(self.index, self.embedder, self.config.retrieval, self._graph_leg(mined=True))

    @cached_property
    def teaching(self) -> Retriever:
        """The same for whoever learns: that two documents were good for one query proposes nothing for that query.

        Raises:
            StaleIndex: as `retriever`.
        """
        return self.retriever.walking(self._graph_leg(mined=False))

    def _graph_leg(self, *, mined: bool) -> GraphLeg | None:
        """The third leg; None where it is off, or there is no edge."""
        most, candidates = self.config.retrieval.graph_candidates, self.config.reranking.tribrid_reranker_topn
        if not most:
            return None
        graph = self.folder.graph(self._found.row, self.store.triplets.state(self.corpus_id) if mined else None)
        return GraphLeg(graph, candidates, min(most, candidates // 2)) if graph else None

    @cached_property
    def metadata(self) -> Metadata:
        """What filters see of its documents."""
        return self.folder.metadata(self._found.row)

    def selection(self, wanted: Filter | None) -> Selection | None:
        """What a search with this filter may find; None: everything."""
        return None if wanted is None else Selection(self.metadata, wanted.meaning)

    @property
    def waits_for_index(self) -> str | None:
        """Why its documents are in no index though nothing was lost; None where nothing says so."""
        if self.index.being_written or self.folder.uploads.under_way(self.corpus_id):
            return "it is being made for the first time. Search again when that is done."
        if self.folder.uploads.unfinished(self.corpus_id):
            return "its indexing was interrupted. Index the same again, or let a server go on: it does by itself."
        if self._only_reranked:
            return "they came with a rerank, and wait to be indexed. Mine, and they are."
        return None

    @property
    def _only_reranked(self) -> bool:
        """Whether it never needed an index: what searches and what mines has one made, or cannot do without."""
        logs, corpus_id = self.store.logs, self.corpus_id
        if not logs.has_source(corpus_id, "rerank") or logs.has_source(corpus_id, "search"):
            return False
        return not self.store.jobs.list(corpus_id, JobKind.MINE, [State.SUCCEEDED], limit=1)

    def read(
        self,
        query: str,
        candidates: Sequence[Candidate],
        kept: KeptTokens | None = None,
        tokens: QueryTokens | None = None,
    ) -> Reading:
        """What a reranker reads of a search: its candidates with their tokens, which are read from the index when the
        reranker asks for them; those that read the text alone never do.

        Args:
            kept: for who reads many lists.
            tokens: the query's, where they are known.
        """
        passages = (kept or self.kept_tokens()).of([c.passage for c in candidates])
        tokens = tokens or self.embedder.query_tokens(query)
        return Reading(query, tokens, candidates, passages, described=self.described, now_us=now_us())

    def described(self, doc_ids: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """The metadata of those of the documents that exist, by doc_id."""
        return self.store.documents.metadata_of(self.corpus_id, doc_ids)

    def kept_tokens(self, most_bytes: int = MOST_BYTES) -> KeptTokens:
        """The tokens of the corpus's passages, to be read; so many bytes of them are kept."""
        return KeptTokens(self._tokens, most_bytes)

    @timed("read")
    def _tokens(self, passages: Sequence[Passage]) -> list[PassageTokens]:
        """What the index keeps of these passages. One that a newer version of it no longer holds is encoded from its
        text, as it was shown.
        """
        packed = dict(self.index.packed([p.key for p in passages]))
        gone = [p for p in passages if p.key not in packed]
        if gone:
            vectors, blobs = self.embedder.embed_passages(gone)
            packed.update(zip([p.key for p in gone], zip(blobs, vectors, strict=True), strict=True))
        return [self.embedder.codec.unpack(*packed[p.key]) for p in passages]

    def counted(self, packed: Iterable[tuple[bytes, FloatArray]]) -> CorpusStatistics:
        """What lexical features and the space of the corpus are made of, from passages' packed tokens and vectors."""
        embedder, most = self.embedder, self.config.reranking.rerank_input_snippet_chars
        passages = (embedder.codec.unpack(*one).cut(most) for one in packed)
        return CorpusStatistics.count(passages, embedder.vocabulary, embedder.dim)

    def learned(self, model_id: str) -> LearnedScorer:
        """A trained model version, to read this corpus's tokens.

        Raises:
            ModelNotFound: no such version.
            ModelUnavailable: its artifact cannot be read, or it was trained on another encoder's tokens.
        """
        scorer = self.folder.trained(model_id)
        trained_on, now = scorer.reranker.manifest.get("encoder"), self.embedder.fingerprint
        if trained_on != now:
            raise ModelUnavailable(
                f"Model {model_id} was trained on what {trained_on} reads; indexing.embedding_model is now {now}. "
                "Train again.",
                model_id=model_id,
            )
        return scorer

    @cached_property
    def scorer(self) -> Scorer | None:
        """Who reranks this corpus now; None where nobody is meant to (mode none, or nothing promoted yet).

        Raises:
            ModelUnavailable, MissingExtra: somebody is meant to and cannot.
        """
        if self.config.reranking.reranker_mode != "learning":
            return ready_made_scorer(self.folder, self.corpus_id, self.config)
        return self.learned(self.champion_id) if self.champion_id else self.before_champion

    @property
    def before_champion(self) -> UntrainedScorer | None:
        """What mode learning serves until there is a champion; None for the fused order.

        Raises:
            StaleIndex: as `untrained`.
        """
        return None if self.comparison is not None and self.comparison.fused_stays else self.untrained

    @property
    def serves_untrained(self) -> bool:
        """Whether there is no champion, and what mode learning serves is not the fused order either.

        Raises:
            StaleIndex: as `untrained`.
        """
        return self.champion_id is None and self.before_champion is not None

    @cached_property
    def untrained(self) -> UntrainedScorer | None:
        """The order before any label; None where the index has too few passages for it, or is an older release's.

        Raises:
            StaleIndex: the index cannot be read.
        """
        statistics = self.index.statistics() if self.index.count() >= LEAST_PASSAGES else None
        if statistics is None:
            return None
        snippet_chars = self.config.reranking.rerank_input_snippet_chars
        return UntrainedScorer(statistics, snippet_chars, first_stage_calibration(self.config.retrieval))

    def rival(self, arm: ServiceArm | None = None) -> CloudScorer:
        """A rerank service as an evaluation asks it, with patience: mode cloud's, or that of an outside arm.

        Raises:
            ModelUnavailable: mode cloud cannot be asked.
            InvalidInput: the arm's service may not be asked, or cannot; names the arm.
        """
        return self.folder.clouds.rival(self.corpus_id, self.config.reranking, self.folder.config().reranking, arm)


def ready_made_scorer(folder: DataFolder, corpus_id: str, config: Config) -> Scorer | None:
    """Who reranks in the modes that serve no model trained here; None in the others.

    Args:
        corpus_id: who pays for a service; '' for nobody in particular.

    Raises:
        ModelUnavailable, MissingExtra: somebody is meant to and cannot.
    """
    reranking = config.reranking
    if reranking.reranker_mode == "cloud":
        return folder.clouds.scorer(corpus_id, reranking, folder.config().reranking)
    if reranking.reranker_mode != "local":
        return None
    if not reranking.reranker_local_model:
        raise ModelUnavailable("Mode local needs reranking.reranker_local_model: a Hugging Face id or a folder.")
    return folder.local(reranking.reranker_local_model, config)


def open_corpus(folder: DataFolder, corpus_id: str) -> OpenCorpus:
    """The corpus as it is now; its row, settings and champion are read in one transaction.

    Raises:
        CorpusNotFound.
    """
    found = folder.store.settings.of_corpus(corpus_id)
    return OpenCorpus(folder, found, folder.resolved(found.everywhere, found.own))
