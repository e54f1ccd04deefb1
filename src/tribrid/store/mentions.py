"""What documents name of each other, as it was read from their texts: a row for each document that was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tribrid.store import tables
from tribrid.store.corpora import bump_version, require_corpus
from tribrid.store.database import Database, insert_into
from tribrid.store.documents import row_sha
from tribrid.store.tables_mentions import mentions
from tribrid.types import Document, Place
from tribrid.types.edges import Mention

_MENTION, _DOCUMENT = mentions.c, tables.documents.c
_KEY = ("corpus_id", "doc_id")


class Naming(NamedTuple):
    """A document, where it says it belongs, and what it names."""

    doc_id: str
    place: Place
    mentions: Sequence[Mention]


class Mentions:
    """By corpus and doc_id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unread(self, corpus_id: str) -> list[str]:
        """The documents that were not read as they are now."""
        same = sa.and_(_MENTION.corpus_id == _DOCUMENT.corpus_id, _MENTION.doc_id == _DOCUMENT.doc_id)
        beside = tables.documents.outerjoin(mentions, sa.and_(same, _MENTION.row_sha == _DOCUMENT.row_sha))
        these = sa.select(_DOCUMENT.doc_id).select_from(beside).order_by(_DOCUMENT.doc_id)
        with self._database.read() as connection:
            missing = these.where(_DOCUMENT.corpus_id == corpus_id, _MENTION.doc_id.is_(None))
            return list(connection.execute(missing).scalars())

    def put(self, corpus_id: str, read: Sequence[tuple[Document, Sequence[Mention]]]) -> None:
        """Keep what was read. Of a document that is gone or is another by now, nothing is kept. The corpus's
        version goes up, by which who holds its graph knows that there is another.

        Raises:
            CorpusNotFound.
        """
        rows = {document.doc_id: (row_sha(document), found) for document, found in read}
        now = sa.select(_DOCUMENT.doc_id, _DOCUMENT.row_sha).where(
            _DOCUMENT.corpus_id == corpus_id, _DOCUMENT.doc_id.in_(list(rows))
        )
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            there = {doc_id for doc_id, sha in connection.execute(now) if rows[doc_id][0] == sha}
            kept = [_row(corpus_id, doc_id, *rows[doc_id]) for doc_id in sorted(there)]
            if kept:
                new = insert_into(connection, mentions)
                changed = {name: new.excluded[name] for name in ("row_sha", "mentions")}
                connection.execute(new.on_conflict_do_update(index_elements=list(_KEY), set_=changed), kept)
                bump_version(connection, corpus_id)

    def all(self, corpus_id: str) -> Iterator[Naming]:
        """Every document of the corpus, by doc_id. Reads no text."""
        parent_id = _DOCUMENT.metadata["parent_id"].as_string()
        same = sa.and_(_MENTION.corpus_id == _DOCUMENT.corpus_id, _MENTION.doc_id == _DOCUMENT.doc_id)
        columns = sa.select(_DOCUMENT.doc_id, _DOCUMENT.uri, parent_id, _MENTION.mentions)
        these = columns.select_from(tables.documents.outerjoin(mentions, same))
        with self._database.read() as connection:
            for doc_id, uri, parent, found in connection.execute(
                these.where(_DOCUMENT.corpus_id == corpus_id).order_by(_DOCUMENT.doc_id)
            ):
                place = Place(uri, None if parent in (None, "") else str(parent))
                yield Naming(doc_id, place, [Mention(*one) for one in found or ()])


def _row(corpus_id: str, doc_id: str, sha: str, found: Sequence[Mention]) -> Mapping[str, object]:
    return {"corpus_id": corpus_id, "doc_id": doc_id, "row_sha": sha, "mentions": [list(one) for one in found]}
