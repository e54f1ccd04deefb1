"""A corpus's documents: what comes in, one of them, what goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tribrid.answers.documents import DeletedDocuments, DocumentAnswer, IndexedDocuments, SkippedRecord
from tribrid.app.judgments import NAMED
from tribrid.app.parts import CorpusPart, quiet
from tribrid.corpus.files import read_folder
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.records import parse_records
from tribrid.errors import CorpusNotFound
from tribrid.loop import index
from tribrid.retrieval.indexer import IndexReport
from tribrid.retrieval.publication import writer_lock
from tribrid.types import Document, Emit
from tribrid.workspace.corpus import OpenCorpus
from tribrid.workspace.uploads import upload_under_way

UPSERT_BATCH = 500


SKIPPED_NAMED = 100


_RECORD_FILES = (".jsonl", ".ndjson", ".json")


@dataclass(slots=True)
class _Came:
    """What came in an upload: the ids of its documents, those that came again, and what was skipped."""

    seen: set[str] = field(default_factory=set)
    repeated: dict[str, None] = field(default_factory=dict)
    skipped: list[SkippedRecord] = field(default_factory=list)
    skipped_total: int = 0

    def documents(self, batch: Iterable[Document | Skipped]) -> list[Document]:
        """Those of a batch, of each id the last."""
        found: dict[str, Document] = {}
        for item in batch:
            if isinstance(item, Document):
                if item.doc_id in self.seen:
                    self.repeated[item.doc_id] = None
                self.seen.add(item.doc_id)
                found[item.doc_id] = item
                continue
            self.skipped_total += 1
            if len(self.skipped) < SKIPPED_NAMED:
                self.skipped.append(SkippedRecord(line=item.line, reason=item.reason, doc_id=item.doc_id))
        return list(found.values())


class Documents(CorpusPart):
    """The documents of a corpus."""

    def add(
        self,
        records: Iterable[Document | Skipped],
        *,
        emit: Emit = quiet,
        mirror: bool = False,
    ) -> IndexedDocuments:
        """Upsert what comes and bring the index in line; unchanged documents are not embedded again. Of two records
        with one doc_id the later holds, and the answer's `duplicates` names it.

        Args:
            mirror: also delete the documents that did not come.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        corpus = self._open()
        with upload_under_way(self._folder.data_dir, self.corpus_id):
            return self._added(corpus, records, emit, mirror=mirror)

    def _added(
        self, corpus: OpenCorpus, records: Iterable[Document | Skipped], emit: Emit, *, mirror: bool
    ) -> IndexedDocuments:
        store = self._folder.store
        came, read = _Came(), 0
        incoming = iter(records)
        while batch := list(itertools.islice(incoming, UPSERT_BATCH)):
            store.documents.upsert(self.corpus_id, came.documents(batch))
            read += len(batch)
            emit("progress", {"stage": "reading", "done": read, "total": None})
        if mirror:
            store.documents.delete(self.corpus_id, store.documents.hashes(self.corpus_id).keys() - came.seen)
        report = index.index(corpus, emit)
        self._still_there()
        return self._indexed(report, came)

    def rebuild(self, *, emit: Emit = quiet) -> IndexedDocuments:
        """Make the index anew from the stored documents, whatever became of its files: all of them are embedded. The
        one that there is serves until then.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        report = index.index(self._open(), emit, anew=True)
        self._still_there()
        return self._indexed(report, _Came())

    def _indexed(self, report: IndexReport, came: _Came) -> IndexedDocuments:
        return IndexedDocuments(
            corpus_id=self.corpus_id,
            documents=report.documents,
            passages=report.passages,
            embedded=report.embedded,
            unchanged=report.unchanged,
            deleted=report.deleted,
            skipped=tuple(came.skipped),
            skipped_total=came.skipped_total,
            duplicates=tuple(itertools.islice(came.repeated, NAMED)),
            duplicates_total=len(came.repeated),
            took_s=round(report.took_s, 3),
            rate_per_s=round(report.rate_per_s, 2),
        )

    def _still_there(self) -> None:
        """Refuse to call an upload done whose corpus was deleted under it.

        Raises:
            CorpusNotFound.
        """
        try:
            self.require()
        except CorpusNotFound:
            self._folder.forget_corpus(self.corpus_id, [], [])  # the index was made after the deletion looked for it
            raise

    def add_path(self, path: str | Path, *, emit: Emit = quiet) -> IndexedDocuments:
        """Index a folder (mirrored), a file, or a file of records (.jsonl, .ndjson, .json; BEIR's as it is).

        Raises:
            InvalidInput: there is nothing at the path. And as `index`.
        """
        source = Path(path).expanduser()
        limit = self.max_chars()
        if source.is_file() and source.suffix in _RECORD_FILES:
            with source.open("rb") as stream:
                return self.add(parse_records(stream, max_document_chars=limit), emit=emit)
        found = read_folder(source, max_document_chars=limit)
        if not source.is_dir():
            return self.add(found, emit=emit)
        with self.bringing_in():
            return self.add(found, emit=emit, mirror=True)

    def max_chars(self) -> int:
        """The longest document that is taken, in characters.

        Raises:
            CorpusNotFound.
        """
        return self._open().config.indexing.max_document_chars

    @contextmanager
    def bringing_in(self) -> Iterator[None]:
        """Hold the corpus while a folder is brought in and what is gone from it is deleted; waits while another thread
        or process does so. Of two at once, each would delete what the other has just put in.
        """
        with writer_lock(self._folder.data_dir / "locks" / self.corpus_id):
            yield

    def get(self, doc_id: str) -> DocumentAnswer:
        """One document as it was given.

        Raises:
            CorpusNotFound, DocumentNotFound.
        """
        self.require()
        found = self._folder.store.documents.get(self.corpus_id, doc_id)
        return DocumentAnswer(
            doc_id=found.doc_id, title=found.title, text=found.text, uri=found.uri, metadata=dict(found.metadata)
        )

    def delete(self, doc_ids: Sequence[str]) -> DeletedDocuments:
        """Delete documents; ids that are not there are not counted.

        Raises:
            CorpusNotFound.
        """
        corpus = self._open()
        with upload_under_way(self._folder.data_dir, self.corpus_id):
            deleted = self._folder.store.documents.delete(self.corpus_id, doc_ids)
            if deleted:
                index.index(corpus, quiet)
        return DeletedDocuments(corpus_id=self.corpus_id, deleted=deleted)
