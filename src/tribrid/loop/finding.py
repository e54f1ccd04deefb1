"""What a search finds for many queries, and what is told of it: here, or where shards of work are done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple
from uuid import uuid4

from tribrid.config import Config, read_environment
from tribrid.encoders.token_cache import KeptTokens
from tribrid.encoders.tokens import QueryTokens
from tribrid.errors import StaleIndex, Unavailable
from tribrid.scoring.features import Features
from tribrid.training.lists import own_features
from tribrid.types import Candidate, ScoredDoc
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

QUERIES_A_SHARD = 32
LEAST_QUERIES = 128
"""From which on others are asked: below, it takes them as long to get going."""
_MOST_BYTES = 1 << 28
"""Of tokens that each process keeps: there may be many."""


class Found(NamedTuple):
    """What a search finds: candidates as they would be served, each leg's own ranking, the query's tokens, and the
    candidates' own features for who learns from them.
    """

    candidates: Sequence[Candidate]
    legs: Mapping[str, Sequence[ScoredDoc]]
    tokens: QueryTokens
    features: Features | None


def find(corpus: OpenCorpus, texts: Sequence[str], kept: KeptTokens, *, teaching: bool) -> Iterator[Found]:
    """Search for each of these queries, in order: as they are asked for, or by others and some ahead.

    Args:
        kept: the tokens of the corpus's passages.
        teaching: they are learned from.
    """
    shards = corpus.folder.shards(of_state=True) if len(texts) >= LEAST_QUERIES else None
    if shards is None:
        return _found(corpus, texts, kept, teaching=teaching)
    work = Find(corpus.corpus_id, corpus.created_us, corpus.config.model_dump_json(), teaching, uuid4().hex)
    pieces = (texts[start : start + QUERIES_A_SHARD] for start in range(0, len(texts), QUERIES_A_SHARD))
    return (found for piece in shards.map(work, pieces) for found in piece)


def _found(corpus: OpenCorpus, texts: Iterable[str], kept: KeptTokens, *, teaching: bool) -> Iterator[Found]:
    reranking, retriever = corpus.config.reranking, corpus.teaching if teaching else corpus.retriever
    statistics = corpus.index.statistics() if teaching else None
    if teaching and statistics is None:
        raise StaleIndex(f"The index of {corpus.corpus_id!r} is gone.", corpus_id=corpus.corpus_id)
    for text in texts:
        found = retriever.search(text, reranking.tribrid_reranker_topn)
        reading, features = corpus.read(text, found.candidates, kept), None
        if statistics is not None and found.candidates:
            features = own_features(reading, statistics, reranking.rerank_input_snippet_chars)
        yield Found(found.candidates, found.leg_runs, reading.tokens, features)


@dataclass(frozen=True, slots=True)
class Find:
    """What is done with some queries where they are sent.

    Attributes:
        corpus_id, created_us: of the corpus; there may be another by that name in another database.
        config: the settings of who asks, as JSON.
        teaching: as `find`.
        call: of whom this is a part. For its time a corpus stays open.
    """

    corpus_id: str
    created_us: int
    config: str
    teaching: bool
    call: str

    def __call__(self, texts: Sequence[str]) -> list[Found]:
        """As it would be found by who asks.

        Raises:
            CorpusNotFound, Unavailable: this process sees other rows.
            StaleIndex, ModelUnavailable: as a search.
        """
        corpus, kept = _opened(self)
        return list(_found(corpus, texts, kept, teaching=self.teaching))


@cache
def _folder() -> DataFolder:
    return DataFolder(read_environment())


@lru_cache(maxsize=1)
def _opened(asked: Find) -> tuple[OpenCorpus, KeptTokens]:
    corpus = open_corpus(_folder(), asked.corpus_id)
    if corpus.created_us != asked.created_us:
        raise Unavailable(
            f"A process that was to search {asked.corpus_id!r} sees another corpus of that name: let all machines have "
            "the same TRIBRID_DATABASE_URL and TRIBRID_STORAGE_URL.",
            corpus_id=asked.corpus_id,
        )
    corpus = corpus.with_config(Config.model_validate_json(asked.config))
    return corpus, corpus.kept_tokens(_MOST_BYTES)
