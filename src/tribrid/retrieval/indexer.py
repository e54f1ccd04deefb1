"""Brings a corpus's index in line with its documents: embeds what changed, removes what is gone, publishes once.

Idempotent: it compares content hashes with what the index holds, so an interrupted sync goes on where it stopped
and a sync of an unchanged corpus embeds nothing and writes nothing. Memory is bounded by a batch of passages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.lexical import searchable
from tribrid.corpus.passages import split
from tribrid.retrieval.index import Index
from tribrid.retrieval.rows import Vector
from tribrid.retrieval.writer import IndexWriter
from tribrid.types import Document, Emit, Passage

FETCH_DOCUMENTS = 32
EMBED_PASSAGES = 256

FetchDocuments = Callable[[Sequence[str]], Mapping[str, Document]]
"""Documents by id; one that was deleted meanwhile is missing."""


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

    def embed_passages(self, passages: Sequence[Passage]) -> tuple[Vector, Sequence[bytes]]:
        """float32 (n, dim), L2-normalised rows, and n opaque token blobs."""


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
    return f"chars={config.passage_chars} overlap={config.passage_overlap_chars} {embedder.fingerprint}"


def lexical_text(passage: Passage) -> str:
    """What BM25 sees of a passage: its title and text, identifiers split."""
    return searchable(f"{passage.title}\n{passage.text}")


def sync_index(
    *,
    fetch: FetchDocuments,
    hashes: Callable[[], Mapping[str, str]],
    index: Index,
    embedder: Embedder,
    config: IndexingConfig,
    emit: Emit,
    purge: bool = False,
) -> IndexReport:
    """Make the index hold exactly the documents of the corpus. Waits while another sync of the same index runs.

    Emits ("progress", {"done", "total", "rate_per_s", "eta_s"}) in passages, and seconds by the characters left.

    Args:
        fetch: some documents by id; asked for those to embed, FETCH_DOCUMENTS at a time, to count and to embed them.
        hashes: doc_id → content_sha of the corpus; called at this sync's turn, so that it undoes no other's work.
        index: to bring up to date.
        embedder: of documents; queries must be embedded alike.
        config: passage length and overlap.
        emit: takes progress, once a batch.
        purge: leave no file that holds what was deleted.

    Raises:
        Failed: unusable vectors, or a full disk. What is written stays, unseen, for the next sync to go on from.
    """
    started = time.monotonic()
    with index.writer(index_fingerprint(config, embedder), embedder.dim) as writer:
        held, wanted = writer.doc_hashes(), hashes()
        gone = held.keys() - wanted.keys()
        writer.delete_docs(gone)
        stale = sorted(doc_id for doc_id, sha in wanted.items() if held.get(doc_id) != sha)
        embedded, embedded_passages, progress = 0, 0, _Progress(_documents(stale, fetch), config, emit)
        for documents, passages in _batches(_documents(stale, fetch), config):
            _replace(writer, embedder, passages, wanted, held.keys() & set(documents))
            embedded += len(documents)
            embedded_passages += len(passages)
            progress.report(passages)
        writer.publish(purge=purge)
        took_s = time.monotonic() - started
        return IndexReport(
            documents=len(wanted),
            passages=writer.count(),
            embedded=embedded,
            embedded_passages=embedded_passages,
            unchanged=len(wanted) - len(stale),
            deleted=len(gone),
            took_s=took_s,
            rate_per_s=embedded_passages / took_s if took_s > 0 else 0.0,
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


def _replace(
    writer: IndexWriter,
    embedder: Embedder,
    passages: Sequence[Passage],
    hashes: Mapping[str, str],
    outdated: Collection[str],
) -> None:
    """Put these passages in, and what the index held of their documents out. Embeds before it deletes."""
    vectors, tokens = embedder.embed_passages(passages)
    writer.delete_docs(outdated)
    writer.add(
        passages,
        lexical=[lexical_text(passage) for passage in passages],
        vectors=vectors,
        content_shas=[hashes[passage.doc_id] for passage in passages],
        tokens=tokens,
    )
