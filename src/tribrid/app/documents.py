"""A corpus's documents: what comes in, one of them, what goes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tribrid.answers.documents import (
    DeletedDocuments,
    DocumentAnswer,
    DocumentPage,
    IndexedDocuments,
    SkippedRecord,
)
from tribrid.app.judgments import NAMED
from tribrid.app.parts import CorpusPart, quiet
from tribrid.config.sections import IndexingConfig
from tribrid.corpus.files import read_folder
from tribrid.corpus.folders import WHOLE, Emptied, Unlisted, address, count
from tribrid.corpus.jsonlines import Loss, Skipped
from tribrid.corpus.records import RECORD_FILES, parse_records
from tribrid.corpus.uploaded import uploaded
from tribrid.errors import CorpusNotFound
from tribrid.loop import index
from tribrid.retrieval.indexer import IndexReport
from tribrid.retrieval.publication import writer_lock
from tribrid.types import Document, Emit
from tribrid.workspace.uploads import upload_under_way

UPSERT_BATCH = 500
SKIPPED_NAMED = 100
TOLD_EVERY_S = 0.25


@dataclass(slots=True)
class _Came:
    """What came in an upload.

    Attributes:
        seen: ids of its documents.
        repeated: those that came again.
        replaced: those whose document came from elsewhere and said something else.
        unread: ids that came with nothing that could be read; their documents are not gone.
        unlisted: folders of which nothing is known.
    """

    seen: set[str] = field(default_factory=set)
    repeated: dict[str, None] = field(default_factory=dict)
    replaced: dict[str, None] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    unlisted: list[Unlisted] = field(default_factory=list)
    skipped: list[SkippedRecord] = field(default_factory=list)
    skipped_total: int = 0
    losses: list[SkippedRecord] = field(default_factory=list)
    losses_total: int = 0

    def documents(self, batch: Iterable[Document | Skipped]) -> list[Document]:
        """Those of a batch, of each id the last."""
        found: dict[str, Document] = {}
        for item in batch:
            if isinstance(item, Document):
                if item.doc_id in self.seen:
                    self.repeated[item.doc_id] = None
                self.seen.add(item.doc_id)
                found[item.doc_id] = item
            else:
                self._pass_over(item)
        return list(found.values())

    def _pass_over(self, item: Skipped) -> None:
        if isinstance(item, Loss):
            self._lose(item)
            return
        if isinstance(item, Unlisted):
            self.unlisted.append(item)
        elif item.doc_id is not None:
            self.unread.add(item.doc_id)
        if not isinstance(item, Emptied):  # of interest only if there was something
            self.skip(item, item.reason)

    def skip(self, item: Skipped, reason: str) -> None:
        """Note what was not taken."""
        self.skipped_total += 1
        if len(self.skipped) < SKIPPED_NAMED:
            self.skipped.append(SkippedRecord(line=item.line, reason=reason, doc_id=item.doc_id))

    def _lose(self, item: Loss) -> None:
        self.losses_total += 1
        if len(self.losses) < SKIPPED_NAMED:
            self.losses.append(SkippedRecord(line=item.line, reason=item.reason, doc_id=item.doc_id))

    def gone(self, uris: Mapping[str, str], delete_emptied: bool) -> list[str]:
        """Those of the documents that did not come, and that would have if they were still there."""
        missing = {doc_id: uri for doc_id, uri in uris.items() if doc_id not in self.seen | self.unread}
        for folder in self.unlisted:
            below = [doc_id for doc_id, uri in missing.items() if _is_below(folder, doc_id, uri)]
            if isinstance(folder, Emptied):
                if delete_emptied or not below:
                    continue
                self.skip(folder, f"{folder.reason}, and {len(below):,} documents came from it. {_KEPT}")
            for doc_id in below:
                del missing[doc_id]
        return list(missing)


_KEPT = (
    "They are kept: is its disk mounted? If they are gone for good, say so with --delete-emptied (in Python "
    "delete_emptied=True)."
)


def _is_below(folder: Unlisted, doc_id: str, uri: str) -> bool:
    name = folder.doc_id or WHOLE
    return uri.startswith(folder.source) and (name == WHOLE or doc_id.startswith(f"{name}/"))


class _Reading:
    """Tells how many were read, of how many where files are read; not too often."""

    def __init__(self, emit: Emit, paths: Sequence[Path]) -> None:
        self._emit, self._done, self._last, self._next = emit, 0, "", 0.0
        self._total = sum(map(count, paths)) if paths else None

    def told(self, records: Iterable[Document | Skipped]) -> Iterator[Document | Skipped]:
        """The records; what is said of one is not another."""
        for record in records:
            yield record
            if record.doc_id is None or record.doc_id != self._last:
                self._done += 1
            self._last = record.doc_id or ""
            if time.monotonic() >= self._next:
                self.tell()

    def tell(self) -> None:
        self._next = time.monotonic() + TOLD_EVERY_S
        total = self._total if self._total is None or self._done <= self._total else None  # records came too
        unit = "records" if total is None else "files"
        self._emit("progress", {"stage": "reading", "done": self._done, "total": total, "unit": unit})


class Documents(CorpusPart):
    """The documents of a corpus."""

    def add(
        self,
        records: Iterable[Document | Skipped],
        *,
        emit: Emit = quiet,
        mirror: bool = False,
        paths: Sequence[Path] = (),
        delete_emptied: bool = False,
    ) -> IndexedDocuments:
        """Upsert what comes and bring the index in line; unchanged documents are not embedded again. Of two records
        with one doc_id the later holds, and the answer's `duplicates` names it.

        Args:
            mirror: also delete all documents that did not come, wherever they came from.
            paths: files and folders that the records are read from. Documents that were files of one of these folders
                and did not come are deleted, but for what cannot be read or listed now.
            delete_emptied: also those of a folder that lists no files. Without it they are kept: its disk may not be
                mounted.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        corpus = self._open()
        came, deleted = _Came(), 0
        with upload_under_way(self._folder.data_dir, self.corpus_id):
            self._take(records, came, _Reading(emit, paths))
            if gone := self._gone(came, paths, mirror, delete_emptied):
                deleted = self._folder.store.documents.delete(self.corpus_id, gone)
            report = index.index(corpus, emit)
        self._still_there()
        return self._indexed(report, came, deleted)

    def rebuild(self, *, emit: Emit = quiet) -> IndexedDocuments:
        """Make the index anew from the stored documents, whatever became of its files: all of them are embedded. The
        one that there is serves until then.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        report = index.index(self._open(), emit, anew=True)
        self._still_there()
        return self._indexed(report, _Came(), 0)

    def _indexed(self, report: IndexReport, came: _Came, deleted: int) -> IndexedDocuments:
        return IndexedDocuments(
            corpus_id=self.corpus_id,
            documents=report.documents,
            passages=report.passages,
            embedded=report.embedded,
            unchanged=report.unchanged,
            deleted=max(deleted, report.deleted),
            skipped=tuple(came.skipped),
            skipped_total=came.skipped_total,
            losses=tuple(came.losses),
            losses_total=came.losses_total,
            duplicates=tuple(itertools.islice(came.repeated, NAMED)),
            duplicates_total=len(came.repeated),
            replaced=tuple(itertools.islice(came.replaced, NAMED)),
            replaced_total=len(came.replaced),
            took_s=round(report.took_s, 3),
            rate_per_s=round(report.rate_per_s, 2),
        )

    def _take(self, records: Iterable[Document | Skipped], came: _Came, reading: _Reading) -> None:
        """Store what comes."""
        incoming = reading.told(records)
        while batch := list(itertools.islice(incoming, UPSERT_BATCH)):
            upserted = self._folder.store.documents.upsert(self.corpus_id, came.documents(batch))
            came.replaced |= dict.fromkeys(doc_id for doc_id in upserted.moved_ids if doc_id not in came.repeated)
            reading.tell()

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

    def _gone(self, came: _Came, paths: Sequence[Path], mirror: bool, delete_emptied: bool) -> list[str]:
        """Documents that are to be deleted."""
        folders = tuple(address(path) for path in paths if path.is_dir())
        if not mirror and not folders:
            return []
        uris = self._folder.store.documents.uris(self.corpus_id)
        if not mirror:
            uris = {doc_id: uri for doc_id, uri in uris.items() if uri.startswith(folders)}
        return came.gone(uris, delete_emptied)

    def add_path(
        self, path: str | Path, *, emit: Emit = quiet, mirror: bool = False, delete_emptied: bool = False
    ) -> IndexedDocuments:
        """Index a folder, a file, or a file of records (.jsonl, .ndjson, .json; BEIR's as it is). Files gone from the
        folder are deleted from the corpus; what came from elsewhere stays.

        Args:
            mirror, delete_emptied: as of `add`.

        Raises:
            InvalidInput: there is nothing at the path. And as `add`.
        """
        source = Path(path).expanduser()
        config = self.indexing()
        if source.is_file() and source.suffix in RECORD_FILES:
            with source.open("rb") as stream, self.bringing_in():
                records = parse_records(stream, max_document_chars=config.max_document_chars)
                return self.add(records, emit=emit, mirror=mirror)
        found = read_folder(source, config)
        with self.bringing_in():
            return self.add(found, emit=emit, mirror=mirror, paths=[source], delete_emptied=delete_emptied)

    def add_uploaded(self, files: Iterable[tuple[str, IO[bytes]]], *, emit: Emit = quiet) -> IndexedDocuments:
        """Index files that somebody sent, each with its name, which is its doc_id (of files of records: not theirs).
        Files that came before and do not come now stay.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        with TemporaryDirectory(dir=self._folder.data_dir, prefix="upload-") as folder:
            return self.add(uploaded(files, Path(folder), self.indexing()), emit=emit)

    def page(self, *, contains: str = "", offset: int = 0, limit: int = 50) -> DocumentPage:
        """A page of the documents by doc_id, without their texts.

        Args:
            contains: only those whose doc_id or title holds this.

        Raises:
            CorpusNotFound.
        """
        self.require()
        rows, total = self._folder.store.documents.page(self.corpus_id, offset, limit, contains)
        return DocumentPage(corpus_id=self.corpus_id, total=total, offset=offset, documents=tuple(rows))

    def indexing(self) -> IndexingConfig:
        """How documents are read: the longest that is taken, and what a file may take.

        Raises:
            CorpusNotFound.
        """
        return self._open().config.indexing

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
