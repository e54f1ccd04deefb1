"""Brings a corpus's index in line with its documents: embeds what changed, removes what is gone, publishes once.

Idempotent: it compares content hashes with what the index holds, so an interrupted sync goes on where it stopped
and a sync of an unchanged corpus embeds nothing and writes nothing. Memory is bounded by a batch of passages.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import NamedTuple, Protocol

import numpy as np

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.passages import split
from tribrid.corpus.terms import ANALYSER, terms
from tribrid.retrieval.index import Index
from tribrid.retrieval.rows import Vector
from tribrid.retrieval.spaces import Count
from tribrid.retrieval.writer import IndexWriter
from tribrid.types import Document, Emit, Passage

FETCH_DOCUMENTS = 32
EMBED_PASSAGES = 256
TAKEN_OVER = 500
"""Documents at a time, of an index that is made anew without an encoder."""
_TERMS = re.compile(r"^terms=\d+ ")

FetchDocuments = Callable[[Sequence[str]], Mapping[str, Document]]
"""Documents by id; one that was deleted meanwhile is missing."""


class Stored(NamedTuple):
    """The corpus's documents.

    Attributes:
        fetch: some of them by id; asked for those to embed, FETCH_DOCUMENTS at a time, to count and to embed them.
        hashes: doc_id → content_sha of all; called at a sync's turn, so that it undoes no other's work.
    """

    fetch: FetchDocuments
    hashes: Callable[[], Mapping[str, str]]


class Embedder(Protocol):
    """Embeds passages.

    Attributes:
        fingerprint: names all that the vectors and tokens depend on (model, token limit, codec); an index made
            with another is rebuilt.
        dim: numbers in a vector.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def embed_each(self, batches: Iterable[Sequence[Passage]]) -> Iterator[tuple[Vector, Sequence[bytes]]]:
        """Of each batch, in order: float32 (n, dim), L2-normalised rows, and n opaque token blobs. They are made of the
        batch alone, so that it does not matter where.
        """


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a sync did.

    Attributes:
        documents: in the corpus.
        passages: in the index afterwards.
        embedded: documents that were new or had changed.
        embedded_passages: their passages.
        unchanged: documents left as they were.
        deleted: documents removed from the index because the corpus no longer has them.
        took_s: seconds.
        rate_per_s: embedded passages per second; 0 when none were.
    """

    documents: int
    passages: int
    embedded: int
    embedded_passages: int
    unchanged: int
    deleted: int
    took_s: float
    rate_per_s: float


def index_fingerprint(config: IndexingConfig, embedder: Embedder) -> str:
    """What an index is made with; compare with `Index.fingerprint` to see whether it serves this configuration."""
    cut = f"chars={config.passage_chars} overlap={config.passage_overlap_chars}"
    return f"terms={ANALYSER} {cut} {embedder.fingerprint}"


def terms_are_old(index: Index, config: IndexingConfig, embedder: Embedder) -> bool:
    """Whether the index was made by a release that cut texts to other terms, and nothing else has changed. It is still
    searched, and the next sync makes it anew of what it holds, without an encoder.
    """
    published, now = index.fingerprint, index_fingerprint(config, embedder)
    return published is not None and published != now and _TERMS.sub("", published) == _TERMS.sub("", now)


def passage_terms(passage: Passage) -> list[str]:
    """What BM25 sees of a passage: the terms of its title and text."""
    return terms(f"{passage.title}\n{passage.text}")


def sync_index(
    stored: Stored,
    *,
    index: Index,
    embedder: Embedder,
    config: IndexingConfig,
    emit: Emit,
    count: Count,
    purge: bool = False,
    anew: bool = False,
) -> IndexReport:
    """Make the index hold exactly the documents of the corpus. Waits while another sync of the same index runs.

    Emits ("progress", {"done", "total", "rate_per_s", "eta_s"}) in passages, and seconds by the characters left.

    Args:
        embedder: of documents; queries must be embedded alike.
        emit: takes progress, once a batch.
        count: makes what is kept of the passages together, of which the codec of tokens is the embedder's.
        purge: leave no file that holds what was deleted.
        anew: embed all of it, beside what there is, which is served until then and whatever became of it.

    Raises:
        Failed: unusable vectors, or a full disk. What is written stays, unseen, for the next sync to go on from.
    """
    started = time.monotonic()
    with index.writer(index_fingerprint(config, embedder), embedder.dim, anew=anew) as writer:
        wanted = stored.hashes()
        held = _held(index, writer, wanted, taken=not anew and terms_are_old(index, config, embedder))
        writer.delete_docs(gone := held.keys() - wanted.keys())
        stale = sorted(doc_id for doc_id, sha in wanted.items() if held.get(doc_id) != sha)
        embedded, embedded_passages, progress = 0, 0, _Progress(_documents(stale, stored.fetch), config, emit)
        for documents, passages, (vectors, tokens) in _embedded(embedder, _documents(stale, stored.fetch), config):
            writer.delete_docs(held.keys() & set(documents))
            _add(writer, passages, vectors, tokens, wanted)
            embedded += len(documents)
            embedded_passages += len(passages)
            progress.report(passages)
        writer.publish(purge=purge, count=count)
        took_s = max(time.monotonic() - started, 1e-9)
        return IndexReport(
            documents=len(wanted),
            passages=writer.count(),
            embedded=embedded,
            embedded_passages=embedded_passages,
            unchanged=len(wanted) - len(stale),
            deleted=len(gone),
            took_s=took_s,
            rate_per_s=embedded_passages / took_s,
        )


class _Progress:
    """How much there is, and is done. Documents differ a hundredfold in length, so they say little of either."""

    def __init__(self, documents: Iterable[Document], config: IndexingConfig, emit: Emit) -> None:
        self._emit = emit
        self._total, self._chars_left, self._done, self._chars = 0, 0, 0, 0
        for document in documents:
            passages = _passages(document, config)
            self._total += len(passages)
            self._chars_left += _chars(passages)
        self._started = time.monotonic()

    def report(self, passages: Sequence[Passage]) -> None:
        chars = _chars(passages)
        self._done, self._chars = self._done + len(passages), self._chars + chars
        self._chars_left = max(self._chars_left - chars, 0)
        took_s = max(time.monotonic() - self._started, 1e-9)
        told = {
            "done": self._done,
            "total": max(self._total, self._done),
            "rate_per_s": round(self._done / took_s, 2),
            "eta_s": round(took_s * self._chars_left / max(self._chars, 1), 1),
        }
        self._emit("progress", told)


def _chars(passages: Sequence[Passage]) -> int:
    return sum(len(passage.title) + len(passage.text) for passage in passages)


def _passages(document: Document, config: IndexingConfig) -> list[Passage]:
    return split(document, passage_chars=config.passage_chars, overlap_chars=config.passage_overlap_chars)


def _documents(doc_ids: Sequence[str], fetch: FetchDocuments) -> Iterator[Document]:
    for start in range(0, len(doc_ids), FETCH_DOCUMENTS):
        some = doc_ids[start : start + FETCH_DOCUMENTS]
        found = fetch(some)
        yield from (found[doc_id] for doc_id in some if doc_id in found)


def _batches(documents: Iterable[Document], config: IndexingConfig) -> Iterator[tuple[list[str], list[Passage]]]:
    """Whole documents' passages, EMBED_PASSAGES or a little more at a time, and the documents' ids."""
    doc_ids: list[str] = []
    passages: list[Passage] = []
    for document in documents:
        doc_ids.append(document.doc_id)
        passages += _passages(document, config)
        if len(passages) >= EMBED_PASSAGES:
            yield doc_ids, passages
            doc_ids, passages = [], []
    if doc_ids:
        yield doc_ids, passages


def _embedded(
    embedder: Embedder, documents: Iterable[Document], config: IndexingConfig
) -> Iterator[tuple[list[str], list[Passage], tuple[Vector, Sequence[bytes]]]]:
    """Each batch with its vectors and tokens; some batches may be ahead of them."""
    waiting, ahead = tee(_batches(documents, config))
    made = embedder.embed_each(passages for _, passages in ahead)
    for (doc_ids, passages), found in zip(waiting, made, strict=True):
        yield doc_ids, passages, found


def _held(index: Index, writer: IndexWriter, wanted: Mapping[str, str], *, taken: bool) -> dict[str, str]:
    """doc_id → content_sha of what the table holds; `taken`: after what the published one holds was put into it."""
    if taken:
        _take_over(index, writer, wanted)
    return writer.doc_hashes()


def _take_over(index: Index, writer: IndexWriter, wanted: Mapping[str, str]) -> None:
    """Put in what the published index holds of documents as they are, with the terms of today."""
    held, old = writer.doc_hashes(), index.doc_hashes()
    kept = sorted(doc_id for doc_id, sha in old.items() if wanted.get(doc_id) == sha and doc_id not in held)
    for start in range(0, len(kept), TAKEN_OVER):
        found = index.passages_of(kept[start : start + TAKEN_OVER])
        passages = [passage for of_one in found.values() for passage in of_one]
        keys = [passage.key for passage in passages]
        packed = index.packed(keys)
        tokens, vectors = zip(*(packed[key] for key in keys), strict=True)
        _add(writer, passages, np.stack(vectors), tokens, wanted)


def _add(
    writer: IndexWriter,
    passages: Sequence[Passage],
    vectors: Vector,
    tokens: Sequence[bytes],
    hashes: Mapping[str, str],
) -> None:
    writer.add(
        passages,
        lexical=[" ".join(passage_terms(passage)) for passage in passages],
        vectors=vectors,
        content_shas=[hashes[passage.doc_id] for passage in passages],
        tokens=tokens,
    )
