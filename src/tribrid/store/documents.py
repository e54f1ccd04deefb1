"""Documents of a corpus: upserted by content, read as a stream. The index is derived from these rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from tribrid.answers.documents import DocumentRow
from tribrid.errors import DocumentNotFound
from tribrid.store import tables
from tribrid.store.corpora import bump_version, require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.types import Document, Place
from tribrid.types.texts import MARK, texts_under

BATCH_ROWS = 500
_DOCUMENT = tables.documents.c
_FIELDS: tuple[sa.ColumnElement[Any], ...] = (
    _DOCUMENT.doc_id,
    _DOCUMENT.text,
    _DOCUMENT.title,
    _DOCUMENT.uri,
    _DOCUMENT.metadata,
)

_THESE = sa.select(*_FIELDS).where(
    _DOCUMENT.corpus_id == sa.bindparam("corpus_id"), _DOCUMENT.doc_id.in_(sa.bindparam("doc_ids", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert did, in documents. `changed_ids`, in the order given, are those to embed (again): the inserted,
    and the changed whose title or text differ. A changed uri or metadata alone is counted in `changed` only.
    """

    inserted: int
    changed: int
    unchanged: int
    changed_ids: list[str]
    moved_ids: list[str]


def content_sha(document: Document) -> str:
    """What the embedding depends on: sha256 over title, NUL, text."""
    return hashlib.sha256(f"{document.title}\0{document.text}".encode("utf-8", "surrogatepass")).hexdigest()


def row_sha(document: Document) -> str:
    """What tells a document from any other of its id: sha256 over all that it is."""
    return _row_sha(document, content_sha(document))


def _row_sha(document: Document, content: str) -> str:
    rest = json.dumps([content, document.uri, document.metadata], sort_keys=True, default=dict)
    return hashlib.sha256(rest.encode()).hexdigest()


def _row(corpus_id: str, document: Document) -> dict[str, Any]:
    content = content_sha(document)
    return {
        "corpus_id": corpus_id,
        "doc_id": document.doc_id,
        "title": document.title,
        "text": document.text,
        "uri": document.uri,
        "metadata": document.metadata,
        "content_sha": content,
        "row_sha": _row_sha(document, content),
    }


def _id(parent: object) -> str | None:
    # SQLite gives a number as a number, PostgreSQL as text.
    return None if parent in (None, "") else str(parent)


def _document(row: sa.Row[Any]) -> Document:
    return Document(**row._mapping)


def read_documents(connection: sa.Connection, corpus_id: str, ids: Iterable[str]) -> dict[str, Document]:
    """Those of the documents that exist, by doc_id."""
    found: dict[str, Document] = {}
    for batch in batches(ids, BATCH_ROWS):
        rows = connection.execute(_THESE, {"corpus_id": corpus_id, "doc_ids": batch})
        found.update((row.doc_id, _document(row)) for row in rows)
    return found


class Documents:
    """Documents, by corpus and doc_id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(self, corpus_id: str, docs: Sequence[Document]) -> Upserted:
        """Store the documents; of two with one id, the last. The corpus's version goes up if anything changed.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        last = {document.doc_id: document for document in docs}
        inserted, changed = 0, 0
        changed_ids: list[str] = []
        moved_ids: list[str] = []
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            for batch in batches(last.values(), BATCH_ROWS):
                known = _known(connection, corpus_id, [document.doc_id for document in batch])
                rows = [_row(corpus_id, document) for document in batch]
                differing = [row for row in rows if known.get(row["doc_id"], _NOTHING).row_sha != row["row_sha"]]
                new = sum(row["doc_id"] not in known for row in differing)
                inserted, changed = inserted + new, changed + len(differing) - new
                others = _other_texts(differing, known)
                changed_ids += others
                moved_ids += _from_elsewhere(differing, known, others)
                _write(connection, differing)
            if inserted or changed:
                bump_version(connection, corpus_id)
        return Upserted(inserted, changed, len(last) - inserted - changed, changed_ids, moved_ids)

    def add_new(self, corpus_id: str, docs: Iterable[Document]) -> int:
        """Store those whose doc_id no document has; how many did. The version goes up if any did.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        added = 0
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            for batch in batches(docs, BATCH_ROWS):
                known = _known(connection, corpus_id, [document.doc_id for document in batch])
                rows = [_row(corpus_id, document) for document in batch if document.doc_id not in known]
                _write(connection, rows)
                added += len(rows)
            if added:
                bump_version(connection, corpus_id)
        return added

    def delete(self, corpus_id: str, doc_ids: Iterable[str]) -> int:
        """Delete those of the documents that exist, and the texts that came under their ids with a rerank; how many
        did. The version goes up if any did.

        Raises:
            CorpusNotFound: there is no such corpus.
        """
        gone = 0
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            named = set(doc_ids)
            for batch in batches(named | _texts_under(connection, corpus_id, named), BATCH_ROWS):
                these = sa.and_(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id.in_(batch))
                gone += connection.execute(sa.delete(tables.documents).where(these)).rowcount
            if gone:
                bump_version(connection, corpus_id)
        return gone

    def places(self, corpus_id: str, doc_ids: Iterable[str], fields: Sequence[str] = ()) -> dict[str, Place]:
        """Where these documents say they belong: their uri, and `parent_id` of their metadata. Reads no text.

        Args:
            fields: of the metadata, those that tell a document from others that say the same.
        """
        parent_id = _DOCUMENT.metadata["parent_id"].as_string()
        columns = sa.select(_DOCUMENT.doc_id, _DOCUMENT.uri, parent_id, _DOCUMENT.metadata if fields else sa.null())
        found: dict[str, Place] = {}
        with self._database.read() as connection:
            for batch in batches(doc_ids, BATCH_ROWS):
                these = columns.where(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id.in_(batch))
                for doc_id, uri, parent, metadata in connection.execute(these):
                    beside = json.dumps([metadata.get(name) for name in fields]) if fields else ""
                    found[doc_id] = Place(uri, _id(parent), beside)
        return found

    def get(self, corpus_id: str, doc_id: str) -> Document:
        """The document.

        Raises:
            DocumentNotFound: the corpus has no such document.
        """
        found = self.get_many(corpus_id, [doc_id])
        if doc_id not in found:
            raise no_document(corpus_id, doc_id)
        return found[doc_id]

    def get_many(self, corpus_id: str, ids: Iterable[str]) -> dict[str, Document]:
        """Those of the documents that exist, by doc_id."""
        with self._database.read() as connection:
            return read_documents(connection, corpus_id, ids)

    def exists(self, corpus_id: str, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are documents of the corpus."""
        return set(self.hashes_of(corpus_id, ids))

    def hashes_of(self, corpus_id: str, ids: Iterable[str]) -> dict[str, str]:
        """The content_sha of those of the documents that exist, by doc_id."""
        found: dict[str, str] = {}
        with self._database.read() as connection:
            for batch in batches(ids, BATCH_ROWS):
                found.update((doc_id, row.content_sha) for doc_id, row in _known(connection, corpus_id, batch).items())
        return found

    def by_content(self, corpus_id: str, shas: Iterable[str]) -> dict[str, str]:
        """The doc_id of a document with each of these `content_sha`s, if there is one; of several, the first by id."""
        found: dict[str, str] = {}
        columns = sa.select(_DOCUMENT.content_sha, sa.func.min(_DOCUMENT.doc_id)).group_by(_DOCUMENT.content_sha)
        with self._database.read() as connection:
            for batch in batches(shas, BATCH_ROWS):
                these = columns.where(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.content_sha.in_(batch))
                found.update((row[0], row[1]) for row in connection.execute(these))
        return found

    def iterate(self, corpus_id: str, batch: int = BATCH_ROWS) -> Iterator[Document]:
        """Every document, by doc_id (code points). Reads `batch` documents at a time, each in a transaction of its
        own, so a slow consumer holds nothing open; a document written meanwhile may or may not be seen.
        """
        after = ""
        while True:
            page = (
                sa.select(*_FIELDS)
                .where(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id > after)
                .order_by(_DOCUMENT.doc_id)
                .limit(batch)
            )
            with self._database.read(page=True) as connection:
                rows = connection.execute(page).all()
            yield from map(_document, rows)
            if len(rows) < batch:
                return
            after = rows[-1].doc_id

    def page(self, corpus_id: str, offset: int, limit: int, contains: str = "") -> tuple[list[DocumentRow], int]:
        """A page of the documents by doc_id, and how many there are in all.

        Args:
            contains: only those whose doc_id or title holds this, in capitals or not.
        """
        these = [_DOCUMENT.corpus_id == corpus_id]
        if contains:
            named = (column.icontains(contains, autoescape=True) for column in (_DOCUMENT.doc_id, _DOCUMENT.title))
            these.append(sa.or_(*named))
        length = sa.func.length(_DOCUMENT.text).label("chars")
        rows = sa.select(_DOCUMENT.doc_id, _DOCUMENT.title, _DOCUMENT.uri, length).where(*these)
        counted = sa.select(sa.func.count()).select_from(tables.documents).where(*these)
        with self._database.read() as connection:
            found = connection.execute(rows.order_by(_DOCUMENT.doc_id).offset(offset).limit(limit))
            return [DocumentRow(**row._mapping) for row in found], connection.execute(counted).scalar_one()

    def hashes(self, corpus_id: str) -> dict[str, str]:
        """Every document's content_sha, by doc_id."""
        every = sa.select(_DOCUMENT.doc_id, _DOCUMENT.content_sha).where(_DOCUMENT.corpus_id == corpus_id)
        with self._database.read() as connection:
            return {row.doc_id: row.content_sha for row in connection.execute(every)}

    def uris(self, corpus_id: str) -> dict[str, str]:
        """Every document's uri, by doc_id."""
        every = sa.select(_DOCUMENT.doc_id, _DOCUMENT.uri).where(_DOCUMENT.corpus_id == corpus_id)
        with self._database.read() as connection:
            return {row.doc_id: row.uri for row in connection.execute(every)}

    def described(self, corpus_id: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Every document's doc_id, content_sha and metadata, by doc_id. Reads no text."""
        columns = sa.select(_DOCUMENT.doc_id, _DOCUMENT.content_sha, _DOCUMENT.metadata)
        every = columns.where(_DOCUMENT.corpus_id == corpus_id).order_by(_DOCUMENT.doc_id)
        with self._database.read() as connection:
            for row in connection.execute(every):
                yield row.doc_id, row.content_sha, row.metadata

    def metadata_of(self, corpus_id: str, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The metadata of those of the documents that exist, by doc_id. Reads no text."""
        columns = sa.select(_DOCUMENT.doc_id, _DOCUMENT.metadata)
        found: dict[str, Mapping[str, Any]] = {}
        with self._database.read() as connection:
            for batch in batches(ids, BATCH_ROWS):
                these = columns.where(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id.in_(batch))
                found.update((row.doc_id, row.metadata) for row in connection.execute(these))
        return found

    def count(self, corpus_id: str) -> int:
        """How many documents the corpus has."""
        every = sa.select(sa.func.count()).select_from(tables.documents).where(_DOCUMENT.corpus_id == corpus_id)
        with self._database.read() as connection:
            return connection.execute(every).scalar_one()


def no_document(corpus_id: str, doc_id: str) -> DocumentNotFound:
    """What is said of an id that no document has."""
    return DocumentNotFound(f"Corpus {corpus_id!r} has no document {doc_id!r}.", corpus_id=corpus_id, doc_id=doc_id)


class _Known(NamedTuple):
    content_sha: str = ""
    row_sha: str = ""
    uri: str = ""


_NOTHING = _Known()


def _known(connection: sa.Connection, corpus_id: str, ids: Sequence[str]) -> dict[str, _Known]:
    """What tells those of the documents that exist from others."""
    columns = sa.select(_DOCUMENT.doc_id, _DOCUMENT.content_sha, _DOCUMENT.row_sha, _DOCUMENT.uri)
    these = columns.where(_DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id.in_(ids))
    return {row.doc_id: _Known(row.content_sha, row.row_sha, row.uri) for row in connection.execute(these)}


def _texts_under(connection: sa.Connection, corpus_id: str, named: Collection[str]) -> set[str]:
    marked = _DOCUMENT.doc_id.contains(MARK, autoescape=True)
    every = sa.select(_DOCUMENT.doc_id).where(_DOCUMENT.corpus_id == corpus_id, marked)
    return texts_under(connection.execute(every).scalars(), named)


def _other_texts(rows: Sequence[Mapping[str, Any]], known: Mapping[str, _Known]) -> list[str]:
    return [row["doc_id"] for row in rows if known.get(row["doc_id"], _NOTHING).content_sha != row["content_sha"]]


def _from_elsewhere(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, _Known], other_texts: Collection[str]
) -> list[str]:
    there = set(other_texts) & known.keys()
    return [row["doc_id"] for row in rows if row["doc_id"] in there and known[row["doc_id"]].uri != row["uri"]]


def _write(connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    new = insert_into(connection, tables.documents)
    fields = ("title", "text", "uri", "metadata", "content_sha", "row_sha")
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["corpus_id", "doc_id"], set_={field: new.excluded[field] for field in fields}
        ),
        rows,
    )
