"""Documents that come with a request become the candidates that a search would have made of them, and are put in order.

A document is cut to passages as for the index, and stands where its best passage stands. What the corpus's index holds
with the same text is read from there; any other passage is embedded, or remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import overload

import numpy as np

from tribrid.config import Config
from tribrid.corpus.passages import split
from tribrid.corpus.terms import query_terms
from tribrid.encoders.budget import Budget
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.tokens import PassageTokens, QueryTokens, TokenCodec
from tribrid.errors import InvalidInput
from tribrid.loop.serving import Ranking, scores, start_clock, time_note
from tribrid.retrieval.indexer import passage_terms
from tribrid.retrieval.outside import WORDLESS, GivenPassage, has_words, rank_given
from tribrid.retrieval.snapshot import Snapshot
from tribrid.retrieval.weights import TermWeights
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import Scorer, above
from tribrid.scoring.signals import Described, Metadata, nothing_described
from tribrid.store.database import now_us
from tribrid.types import Candidate, Document, Passage, ScoredDoc
from tribrid.workspace.corpus import OpenCorpus
from tribrid.workspace.encoders import Encoders

Placed = tuple[int, float]
"""A document's position in the request, and its raw score."""


@dataclass(frozen=True, slots=True)
class GivenQuery:
    """What is asked of a rerank.

    Attributes:
        documents: in the order of the first stage, each with its doc_id.
        chunks: passages read of a document that the index does not hold.
        top_n: documents that are answered, and so shown.
        client_id: whose search it is; None where nobody said.
        whole: documents that are not read whole are refused.
    """

    text: str
    documents: Sequence[Document]
    chunks: int
    top_n: int
    client_id: str | None = None
    whole: bool = False

    def accept(self, partly: int) -> None:
        """Pass if so many documents may be read in part.

        Raises:
            InvalidInput: they may not; nothing was logged yet.
        """
        if partly and self.whole:
            raise InvalidInput(f"{partly} documents are too long to be read whole, and truncate is off.", partly=partly)


@dataclass(frozen=True, slots=True)
class GivenList:
    """The documents of a request as a reranker reads them, each text once.

    Attributes:
        reading: candidates in fused order.
        positions: of each candidate, where it stands in the request; more than once for a document given twice.
        partly: documents of which not everything was read.
    """

    reading: Reading
    positions: list[list[int]]
    partly: int

    def placed(self, order: Sequence[ScoredDoc]) -> list[Placed]:
        """Every document of the request, best first; of equals the one that was given first.

        Args:
            order: candidates by their number, as text.
        """
        found = [(at, doc.score) for doc in order for at in self.positions[int(doc.doc_id)]]
        return sorted(found, key=lambda placed: (-placed[1], placed[0]))

    def first_stage(self) -> list[ScoredDoc]:
        """The candidates by number, in fused order."""
        return [ScoredDoc(str(number), c.score) for number, c in enumerate(self.reading.candidates)]

    def as_given(self) -> list[str]:
        """The candidates by number, in the order in which the documents came."""
        return [str(number) for number in sorted(range(len(self.positions)), key=lambda n: min(self.positions[n]))]

    def ranked(self, scorer: Scorer, config: Config, budget: Budget) -> Ranking:
        """As many of the best candidates as a search reranks, as the scorer orders them; the others below.

        Raises:
            Failed, Unavailable, Overloaded, Cancelled: as Candidates.ranked of a search.
        """
        start_clock(config, budget)
        depth = min(config.reranking.tribrid_reranker_topn, len(self.reading.candidates))
        order = self.reranked(scorer, depth, budget)
        read = depth if budget.read is None else budget.read[0]
        return Ranking(order, scorer.model_id, None, read, time_note(config, budget), calibration=scorer.calibration)

    def reranked(self, scorer: Scorer, depth: int, budget: Budget | None = None) -> list[ScoredDoc]:
        """The `depth` best candidates as the scorer orders them, the others below in fused order, as in a search. Those
        without text are not read: they are last in fused order, and stay so.

        Raises:
            Failed, Overloaded, Cancelled: as the scorer.
        """
        depth = min(depth, sum(has_words(c.passage) for c in self.reading.candidates))
        if not depth:
            return self.first_stage()
        best = self.reading.candidates[:depth]
        head = replace(self.reading, candidates=best, passages=self.reading.passages[:depth], budget=budget)
        found = scores(scorer, head)
        # Those that the time did not suffice for (NaN) are the last ones.
        known = [i for i in np.argsort(-found, kind="stable") if np.isfinite(found[i])]
        return above([ScoredDoc(str(i), float(found[i])) for i in known], self.first_stage()[len(known) :])


def read_given(corpus: OpenCorpus, asked: GivenQuery, budget: Budget | None = None) -> GivenList:
    """The documents of a request with everything a model trained here reads.

    The corpus's index says what words are worth; where there is none, the documents themselves do.

    Args:
        budget: tells when nobody waits any more.

    Raises:
        ScorerFailed, ModelUnavailable, MissingExtra: the encoder failed, or cannot be had.
        StaleIndex: the index was made with another encoder, or cannot be read.
        Cancelled: whoever asked is gone.
    """
    described = partial(_described, asked.documents, corpus.described)
    if corpus.index.fingerprint is None:
        return _read(corpus.folder.encoders, corpus.config, None, asked, budget, described)
    _ = corpus.retriever  # refuses vectors of another encoder
    nothing = GivenList(Reading(asked.text, _no_tokens(), [], []), [], 0)
    read = partial(_read, corpus.folder.encoders, corpus.config, asked=asked, budget=budget, described=described)
    return corpus.index.read(read, nothing)


def read_apart(encoders: Encoders, config: Config, asked: GivenQuery, budget: Budget | None = None) -> GivenList:
    """The same where no corpus is named: the documents themselves say what words are worth.

    Raises:
        ScorerFailed, ModelUnavailable, MissingExtra, Cancelled: as `read_given`.
    """
    described = partial(_described, asked.documents, nothing_described)
    return _read(encoders, config, None, asked, budget, described)


def _read(
    encoders: Encoders,
    config: Config,
    snapshot: Snapshot | None,
    asked: GivenQuery,
    budget: Budget | None,
    described: Described,
) -> GivenList:
    distinct, positions = _distinct(asked.documents)
    query, embedder = asked.text, encoders.embedder(config)
    known = _in_index(snapshot, distinct)
    cut = {i: _passages(document, config) for i, document in enumerate(distinct) if i not in known}
    weights = snapshot.weights if snapshot else _weights(cut)
    words = query_terms(query)
    chosen = {i: _most_like(words, passages, weights, asked.chunks) for i, passages in cut.items()}
    flat = [(i, passage) for i, passages in chosen.items() for passage in passages]
    most_bytes = config.reranking.rerank_cache_mb * 2**20
    embedded = encoders.embedded(config).embed([passage for _, passage in flat], most_bytes, budget)
    given = [GivenPassage(i, passage, vector) for (i, passage), (vector, _) in zip(flat, embedded, strict=True)]
    packed = [found for _, found in embedded]
    if snapshot is not None and known:
        held = [(i, passage) for i, passages in known.items() for passage in passages]
        keys = [passage.key for _, passage in held]
        found = snapshot.packed(keys)
        given += [GivenPassage(i, passage, found[passage.key][1], passage.key) for i, passage in held]
        packed += [found[key][0] for key in keys]
    depth = config.reranking.tribrid_reranker_topn
    ranked = rank_given(snapshot, query, embedder.embed_query(query), given, weights, config.retrieval, depth)
    numbers = [given[at].document for at, _ in ranked]
    passages = _Packed(embedder.codec, [(packed[at], given[at].vector) for at, _ in ranked])
    tokens, best = embedder.query_tokens(query), [c for _, c in ranked]
    reading = Reading(query, tokens, best, passages, described=described, now_us=now_us())
    return GivenList(reading, [positions[number] for number in numbers], _partly(distinct, cut, chosen, positions))


def _described(given: Sequence[Document], stored: Described, doc_ids: Collection[str]) -> Metadata:
    """What came with the request of a document; what did not, from the corpus's own."""
    came = {document.doc_id: document.metadata for document in reversed(given)}
    known = stored(doc_ids)
    return {doc_id: {**known.get(doc_id, {}), **came.get(doc_id, {})} for doc_id in doc_ids}


class _Packed(Sequence[PassageTokens]):
    """Passages' tokens, unpacked when they are read: that makes four times as much of them, and few are read."""

    def __init__(self, codec: TokenCodec, packed: Sequence[tuple[bytes, FloatArray]]) -> None:
        """From each passage's packed tokens and its vector."""
        self._codec, self._packed = codec, packed

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, at: int) -> PassageTokens: ...

    @overload
    def __getitem__(self, at: slice) -> list[PassageTokens]: ...

    def __getitem__(self, at: int | slice) -> PassageTokens | list[PassageTokens]:
        if isinstance(at, slice):
            return [self._codec.unpack(*packed) for packed in self._packed[at]]
        return self._codec.unpack(*self._packed[at])


def score_apart(
    scorer: Scorer, asked: GivenQuery, config: Config, budget: Budget | None = None
) -> tuple[list[Placed], int]:
    """Documents by a scorer that reads texts alone, as a cross-encoder does: best first, and how many of them were
    not read whole. A document's score is its best passage's.

    Args:
        budget: one without a clock: every document is to have a score.

    Raises:
        ScorerFailed, Overloaded, Cancelled: as the scorer.
    """
    distinct, positions = _distinct(asked.documents)
    cut = {i: _passages(document, config) for i, document in enumerate(distinct)}
    weights, words = _weights(cut), query_terms(asked.text)
    chosen = {i: _most_like(words, passages, weights, asked.chunks) for i, passages in cut.items()}
    flat = [(i, Candidate(passage, 1, 0.0, {})) for i, passages in chosen.items() for passage in passages]
    read = [(i, candidate) for i, candidate in flat if has_words(candidate.passage)]
    candidates = [candidate for _, candidate in read]
    found = scores(scorer, Reading(asked.text, _no_tokens(), candidates, [], budget)).tolist() if read else []
    best: dict[int, float] = {}
    for (i, _), score in zip(read, found, strict=True):
        best[i] = max(score, best.get(i, score))
    nothing = min([WORDLESS, *best.values()])
    best |= {i: nothing for i in chosen if i not in best}
    placed = [(at, score) for i, score in best.items() for at in positions[i]]
    return sorted(placed, key=lambda p: (-p[1], p[0])), _partly(distinct, cut, chosen, positions)


def _distinct(documents: Sequence[Document]) -> tuple[list[Document], list[list[int]]]:
    """Each document once, and where it stands in the request."""
    at: dict[tuple[str, str, str], list[int]] = {}
    for position, document in enumerate(documents):
        at.setdefault((document.doc_id, document.title, document.text), []).append(position)
    return [documents[positions[0]] for positions in at.values()], list(at.values())


def _in_index(snapshot: Snapshot | None, distinct: Sequence[Document]) -> dict[int, list[Passage]]:
    """The index's own passages of the documents that it holds with this text, by the document's number."""
    if snapshot is None:
        return {}
    held = snapshot.passages_of([document.doc_id for document in distinct])
    found = {i: _same(document, held.get(document.doc_id, [])) for i, document in enumerate(distinct)}
    return {i: passages for i, passages in found.items() if passages}


def _same(document: Document, passages: Sequence[Passage]) -> list[Passage]:
    """All passages of the index if the text is the whole document's; the one that it is; none if it is another text."""
    if not passages or document.title not in ("", passages[0].title):
        return []
    text = document.text
    if all(p.text == text[p.start : p.end] for p in passages) and not text[passages[-1].end :].strip():
        return list(passages)
    return [p for p in passages if p.text == text][:1]


def _passages(document: Document, config: Config) -> list[Passage]:
    read = replace(document, text=document.text[: config.reranking.rerank_document_chars])
    indexing = config.indexing
    return split(read, passage_chars=indexing.passage_chars, overlap_chars=indexing.passage_overlap_chars)


def _weights(cut: Mapping[int, Sequence[Passage]]) -> TermWeights:
    return TermWeights.of_texts([passage_terms(p) for passages in cut.values() for p in passages])


def _most_like(asked: Sequence[str], passages: Sequence[Passage], weights: TermWeights, most: int) -> list[Passage]:
    """At most so many passages, in their order: those with the highest BM25, of equals the first."""
    if len(passages) <= most:
        return list(passages)
    scores = np.array([weights.score(asked, passage_terms(passage)) for passage in passages])
    return [passages[i] for i in sorted(np.argsort(-scores, kind="stable")[:most])]


def _partly(
    distinct: Sequence[Document],
    cut: Mapping[int, Sequence[Passage]],
    chosen: Mapping[int, Sequence[Passage]],
    positions: Sequence[Sequence[int]],
) -> int:
    """Documents of the request of which something was left out: passages, or the end of the text."""
    return sum(
        len(positions[i])
        for i, passages in cut.items()
        if len(chosen[i]) < len(passages) or distinct[i].text[passages[-1].end :].strip()
    )


def _no_tokens() -> QueryTokens:
    nothing = np.zeros((0, 0), np.float32)
    return QueryTokens("", np.zeros(0, np.int64), nothing, nothing[:, :0].ravel(), nothing.ravel())
