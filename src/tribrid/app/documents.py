"""A corpus's documents: what comes in, one of them, what goes."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tribrid.answers.documents import (
    DeletedDocuments,
    DocumentAnswer,
    DocumentPage,
    IndexedDocuments,
    IndexPreview,
    PulledDocuments,
    ReadDocument,
)
from tribrid.app.incoming import Came, Reading
from tribrid.app.judgments import NAMED
from tribrid.app.parts import CorpusPart, quiet
from tribrid.config.sections import IndexingConfig
from tribrid.corpus.choosing import ALL, Choice
from tribrid.corpus.files import read_folder
from tribrid.corpus.folders import address
from tribrid.corpus.given import Given, given_documents
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.records import RECORD_FILES, parse_records
from tribrid.corpus.uploaded import uploaded
from tribrid.engines.mapping import all_or_nothing
from tribrid.engines.pulled import mapped, records
from tribrid.engines.source import source_at
from tribrid.errors import CorpusNotFound, InvalidInput
from tribrid.loop import index
from tribrid.retrieval.indexer import IndexReport
from tribrid.retrieval.metadata import lets_through
from tribrid.store.documents import no_document
from tribrid.types import Document, Emit

UPSERT_BATCH = 500


class Documents(CorpusPart):
    """The documents of a corpus."""

    def add(
        self,
        records: Iterable[Document | Skipped] | Given,
        *,
        emit: Emit = quiet,
        mirror: bool = False,
        paths: Sequence[Path] = (),
        choice: Choice = ALL,
        delete_emptied: bool = False,
    ) -> IndexedDocuments:
        """Upsert what comes and bring the index in line; unchanged documents are not embedded again. Of two records
        with one doc_id the later holds, and the answer's `duplicates` names it.

        Args:
            records: documents; or {doc_id: text}, dictionaries with the fields of a record, a DataFrame with a row a
                document (doc_id, text, title, uri, metadata).
            mirror: also delete all documents that did not come, wherever they came from.
            paths: files and folders that the records are read from. Documents that were files of one of these folders
                and did not come are deleted, but for what cannot be read or listed now.
            choice: by which the records were read from the paths.
            delete_emptied: also those of a folder that lists no files. Without it they are kept: its disk may not be
                mounted.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        corpus = self._open()
        came, deleted = Came(), 0
        documents = given_documents(records, max_document_chars=corpus.config.indexing.max_document_chars)
        with self._folder.uploads.upload_under_way(self.corpus_id):
            self._take(documents, came, Reading(emit, paths, choice))
            if gone := self._gone(came, paths, mirror, delete_emptied):
                deleted = self._folder.store.documents.delete(self.corpus_id, gone)
            report = index.index(corpus, emit)
        self._still_there()
        return self._indexed(report, came, deleted)

    def preview(
        self,
        records: Iterable[Document | Skipped],
        *,
        mirror: bool = False,
        paths: Sequence[Path] = (),
        delete_emptied: bool = False,
    ) -> IndexPreview:
        """What `add` would do with the same. There need not be such a corpus yet."""
        came = Came(named=sys.maxsize)
        read: dict[str, ReadDocument] = {}
        for record in records:
            for found in came.documents([record]):
                read[found.doc_id] = ReadDocument(doc_id=found.doc_id, title=found.title, characters=len(found.text))
        return IndexPreview(
            corpus_id=self.corpus_id,
            read=tuple(read.values()),
            deleted=tuple(sorted(self._gone(came, paths, mirror, delete_emptied))),
            skipped=tuple(came.skipped),
            losses=tuple(came.losses),
            left_out=tuple(came.left_out),
        )

    def rebuild(self, *, emit: Emit = quiet) -> IndexedDocuments:
        """Make the index anew from the stored documents, whatever became of its files: all of them are embedded. The
        one that there is serves until then.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        report = index.index(self._open(), emit, anew=True)
        self._still_there()
        return self._indexed(report, Came(), 0)

    def _indexed(self, report: IndexReport, came: Came, deleted: int) -> IndexedDocuments:
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
            left_out=len(came.left_out),
            took_s=round(report.took_s, 3),
            rate_per_s=round(report.rate_per_s, 2),
        )

    def _take(self, records: Iterable[Document | Skipped], came: Came, reading: Reading) -> None:
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

    def _gone(self, came: Came, paths: Sequence[Path], mirror: bool, delete_emptied: bool) -> list[str]:
        """Documents that are to be deleted."""
        folders = tuple(address(path) for path in paths if path.is_dir())
        if not mirror and not folders:
            return []
        uris = self._folder.store.documents.uris(self.corpus_id)
        if not mirror:
            uris = {doc_id: uri for doc_id, uri in uris.items() if uri.startswith(folders)}
        return came.gone(uris, delete_emptied)

    def add_path(
        self,
        path: str | Path,
        *,
        emit: Emit = quiet,
        mirror: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        delete_emptied: bool = False,
    ) -> IndexedDocuments:
        """Index a folder, a file, or a file of records (.jsonl, .ndjson, .json; BEIR's as it is). Files gone from the
        folder, and such as are left out now, are deleted from the corpus; what came from elsewhere stays. What a
        .gitignore names is left out.

        Args:
            include: of a folder, only files that one of these patterns names, written as in a .gitignore.
            exclude: of a folder, no file and no folder that one of these names.
            mirror, delete_emptied: as of `add`.

        Raises:
            InvalidInput: there is nothing at the path, or a pattern is none. And as `add`.
        """
        source, choice = Path(path).expanduser(), Choice(tuple(include), tuple(exclude))
        config = self.indexing()
        if source.is_file() and source.suffix in RECORD_FILES:
            with source.open("rb") as stream, self.bringing_in():
                records = parse_records(stream, max_document_chars=config.max_document_chars)
                return self.add(records, emit=emit, mirror=mirror)
        found = read_folder(source, config, choice)
        with self.bringing_in():
            return self.add(
                found, emit=emit, mirror=mirror, paths=[source], choice=choice, delete_emptied=delete_emptied
            )

    def pull(
        self,
        source: str,
        name: str | None = None,
        *,
        mapping: Mapping[str, str | Sequence[str]] | None = None,
        query: str | None = None,
        changed: str | None = None,
        since: str | None = None,
        mirror: bool = False,
        emit: Emit = quiet,
    ) -> PulledDocuments:
        """Bring in a table or query of PostgreSQL, an index of OpenSearch or Elasticsearch, or a collection of Qdrant.
        What is there unchanged is not embedded again. Credentials are the environment's: libpq's variables for
        PostgreSQL, TRIBRID_PULL_KEY for the others.

        Args:
            source: postgresql://host/database, opensearch+https://host:9200, elasticsearch+https://…,
                qdrant+https://host:6333; with http in the place of https where there is no certificate.
            name: the table, index or collection.
            mapping: a document's field (doc_id, text, title, uri, metadata.NAME) to the record's. Several are joined
                as paragraphs, one inside another has a dot. Default: the field of the same name, and the engine's id.
            query: of PostgreSQL, a SELECT in the place of the table.
            changed: the record's field that says when it was last changed; the answer has its latest value.
            since: only records that were changed then or later.
            mirror: also delete all documents that did not come, wherever they came from.

        Raises:
            CorpusNotFound, ModelUnavailable, NotFound.
            InvalidInput: the source is none, may not be asked, or refuses; or documents have no such field.
            NoDocuments: of `mirror`: no record is a document.
            Unavailable: the source cannot be read. MissingExtra: psycopg is not installed.
        """
        if mirror and since is not None:
            raise InvalidInput("mirror: what was not changed does not come either, and would be deleted.")
        environment = self._folder.environment
        asked, fields = source_at(environment, source, name, query, changed, since), mapped(mapping or {}, changed)
        found = fields.documents(records(asked, environment, fields.needed), self.indexing().max_document_chars)
        with self.bringing_in():
            report = self.add(all_or_nothing(found) if mirror else found, mirror=mirror, emit=emit)
        return PulledDocuments(**dict(report), newest=fields.newest)

    def preview_path(
        self,
        path: str | Path,
        *,
        mirror: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        delete_emptied: bool = False,
    ) -> IndexPreview:
        """What `add_path` would take, and leave, and why; files are read, and nothing is stored.

        Args:
            mirror, include, exclude, delete_emptied: as of `add_path`.

        Raises:
            CorpusNotFound, InvalidInput.
        """
        source, config = Path(path).expanduser(), self.indexing()
        if source.is_file() and source.suffix in RECORD_FILES:
            with source.open("rb") as stream:
                records = parse_records(stream, max_document_chars=config.max_document_chars)
                return self.preview(records, mirror=mirror)
        found = read_folder(source, config, Choice(tuple(include), tuple(exclude)))
        return self.preview(found, mirror=mirror, paths=[source], delete_emptied=delete_emptied)

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
        self._bounds.require_all_documents("a list of documents")
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
        """Hold the corpus while a folder is brought in and what is gone from it is deleted; waits while another thread,
        process or machine does so. Of two at once, each would delete what the other has just put in.
        """
        with self._folder.uploads.bringing_in(self.corpus_id):
            yield

    def get(self, doc_id: str) -> DocumentAnswer:
        """One document as it was given.

        Raises:
            CorpusNotFound, DocumentNotFound.
        """
        self.require()
        found = self._folder.store.documents.get(self.corpus_id, doc_id)
        if self._bounds.pinned is not None and not lets_through(self._bounds.pinned.meaning, found.metadata):
            raise no_document(self.corpus_id, doc_id)
        return DocumentAnswer(
            doc_id=found.doc_id, title=found.title, text=found.text, uri=found.uri, metadata=dict(found.metadata)
        )

    def delete(self, doc_ids: Sequence[str]) -> DeletedDocuments:
        """Delete documents, and the texts that came under their ids with a rerank; ids that are not there are not
        counted.

        Raises:
            CorpusNotFound.
        """
        corpus = self._open()
        with self._folder.uploads.upload_under_way(self.corpus_id):
            deleted = self._folder.store.documents.delete(self.corpus_id, doc_ids)
            if deleted:
                index.index(corpus, quiet)
        return DeletedDocuments(corpus_id=self.corpus_id, deleted=deleted)
