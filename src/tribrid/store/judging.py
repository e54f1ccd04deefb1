"""What models said of documents: kept, never a judgment, and never read as one."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from tribrid.errors import Erased
from tribrid.store.corpora import require_corpus
from tribrid.store.database import Database, batches, insert_into
from tribrid.store.erasing import erasures_seen
from tribrid.store.tables_judging import judge_labels
from tribrid.types.judging import JudgeLabel

BATCH_ROWS = 500
_KEY = ("corpus_id", "judge_sha256", "query_sha256", "doc_id")
_LABEL = judge_labels.c
_FIELDS = [column for column in _LABEL if column.name != "corpus_id"]


class JudgeLabels:
    """One row for what one model said of one document for one query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, corpus_id: str, labels: Iterable[JudgeLabel], erasures: int) -> None:
        """Store labels; one that is there is replaced.

        Args:
            erasures: how many the corpus had seen when what was judged was read.

        Raises:
            CorpusNotFound. Erased: something was erased meanwhile, which may be among it.
        """
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            if erasures_seen(connection, corpus_id) != erasures:
                raise Erased("Something was erased while a model judged, so its answer is not kept. Judge again.")
            new = insert_into(connection, judge_labels)
            changed = {column.name: new.excluded[column.name] for column in _LABEL if column.name not in _KEY}
            upsert = new.on_conflict_do_update(index_elements=list(_KEY), set_=changed)
            for batch in batches(labels, BATCH_ROWS):
                connection.execute(upsert, [{"corpus_id": corpus_id, **asdict(label)} for label in batch])

    def list(self, corpus_id: str, judge_sha256: str) -> builtins.list[JudgeLabel]:
        """Every label of one judge, by query and doc_id."""
        return self._read(sa.select(*_FIELDS).where(*self._of(corpus_id, judge_sha256)), None)

    def page(self, corpus_id: str, judge_sha256: str, offset: int, limit: int) -> tuple[builtins.list[JudgeLabel], int]:
        """Some of them, and how many there are."""
        of = self._of(corpus_id, judge_sha256)
        with self._database.read() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(judge_labels).where(*of)).scalar_one()
        return self._read(sa.select(*_FIELDS).where(*of).offset(offset), limit), total

    @staticmethod
    def _of(corpus_id: str, judge_sha256: str) -> tuple[sa.ColumnElement[bool], ...]:
        return _LABEL.corpus_id == corpus_id, _LABEL.judge_sha256 == judge_sha256

    def _read(self, these: sa.Select[Any], limit: int | None) -> builtins.list[JudgeLabel]:
        ordered = these.order_by(_LABEL.query_sha256, _LABEL.doc_id).limit(limit)
        with self._database.read() as connection:
            return [JudgeLabel(**row._mapping) for row in connection.execute(ordered)]
