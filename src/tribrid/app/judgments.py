"""Relevance judgments to train from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tribrid.answers.judgments import JudgedQueries, StoredJudgments
from tribrid.app.parts import CorpusPart
from tribrid.errors import InvalidInput
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.mining.splits import QueryMatcher
from tribrid.types import JudgedQuery
from tribrid.workspace.data_folder import DataFolder


class Judgments(CorpusPart):
    """The judgments of a corpus; never the eval dataset's queries."""

    def put(
        self, queries: Sequence[JudgedQuery], replace: bool = False, bundle: Mapping[str, Any] | None = None
    ) -> StoredJudgments:
        """Keep relevance judgments to train from. Queries that the eval dataset asks are kept out of training by
        mining, and named here.

        Args:
            bundle: what else their file held.

        Raises:
            CorpusNotFound. InvalidInput: or the bundle says that nobody judged them, but that they are from logs.
        """
        if (bundle or {}).get("source") not in (None, "judgments"):
            raise InvalidInput("source: these labels are from logs, and no judgments.", field="source")
        check_queries(queries)
        store = self._folder.store
        unknown = unknown_documents(self._folder, self.corpus_id, queries)
        store.judgments.put(self.corpus_id, queries, replace)
        asked = [q.text for q in eval_queries_of(self._open())]
        matcher = QueryMatcher(asked)
        overlap = [q.query_id for q in queries if matcher.matches(q.text)] if asked else []
        return StoredJudgments(
            corpus_id=self.corpus_id,
            **store.judgments.counts(self.corpus_id),
            unknown_documents=tuple(unknown[:NAMED]),
            unknown_documents_total=len(unknown),
            in_eval_dataset=tuple(overlap[:NAMED]),
            in_eval_dataset_total=len(overlap),
        )

    def get(self) -> JudgedQueries:
        """The judgments to train from.

        Raises:
            CorpusNotFound.
        """
        self.require()
        return JudgedQueries(corpus_id=self.corpus_id, queries=tuple(self._folder.store.judgments.list(self.corpus_id)))


def unknown_documents(folder: DataFolder, corpus_id: str, queries: Sequence[JudgedQuery]) -> list[str]:
    """The judged documents that the corpus lacks, by doc_id."""
    wanted = {doc_id for query in queries for doc_id in query.judgments}
    return sorted(wanted - folder.store.documents.exists(corpus_id, wanted))


def check_queries(queries: Sequence[JudgedQuery]) -> None:
    """Refuse a set of judged queries that is empty or holds a text that nobody can take.

    Raises:
        InvalidInput.
    """
    if not queries:
        raise InvalidInput("There is no query in the request.")
    for query in queries:
        check_text(f"query {query.query_id!r}", query.text)


def check_text(name: str, text: str) -> None:
    """Refuse what neither a database nor a tokenizer takes.

    Raises:
        InvalidInput: the text holds a NUL or half of a surrogate pair.
    """
    if "\0" in text:
        raise InvalidInput(f"{name}: holds a NUL character.")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(f"{name}: holds half of a surrogate pair, which is no character.")


NAMED = 20
"""Rows named one by one in an answer; the rest is counted."""
