"""Relevance judgments to train from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tribrid.answers.judgments import Agreement, GivenBy, Judge, JudgedBy, JudgedQueries, Rating, StoredJudgments
from tribrid.app.agreement import agreement
from tribrid.app.parts import CorpusPart
from tribrid.corpus.given import Given, given_judgments, given_queries
from tribrid.corpus.jsonlines import id_fault
from tribrid.corpus.lexical import normalise
from tribrid.errors import InvalidInput
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.mining.splits import QueryMatcher
from tribrid.store.ratings import Said
from tribrid.types import JudgedQuery
from tribrid.workspace.data_folder import DataFolder


class Judgments(CorpusPart):
    """The judgments of a corpus; never the eval dataset's queries."""

    def put(
        self,
        judgments: Given,
        replace: bool = False,
        bundle: Mapping[str, Any] | None = None,
        *,
        queries: Given = None,
        judge: str | None = None,
        by: GivenBy = "person",
    ) -> StoredJudgments:
        """Keep relevance judgments to train from. Queries that the eval dataset asks are kept out of training by
        mining, and named here.

        Args:
            judgments, queries: as of `judged_queries`.
            bundle: what else their file held.
            judge: whose grades they are; None: nobody says.
            by: whether the judge is a person or a model. What a model says is no judgment: it is kept as its ratings,
                compared with people's, and nothing is learned from it.

        Raises:
            CorpusNotFound. InvalidInput: or the bundle says that nobody judged them, but that they are from logs; a
                model without a name, or one that would replace what people said.
        """
        _check_origin(bundle, judge, by, replace=replace)
        judged = judged_queries(judgments, queries)
        store = self._folder.store
        unknown = unknown_documents(self._folder, self.corpus_id, judged)
        store.judgments.put(self.corpus_id, judged, replace, judge, by)
        asked = [q.text for q in eval_queries_of(self._open())]
        matcher = QueryMatcher(asked)
        overlap = [q.query_id for q in judged if matcher.matches(q.text)] if asked else []
        return StoredJudgments(
            corpus_id=self.corpus_id,
            **store.judgments.counts(self.corpus_id),
            unknown_documents=tuple(unknown[:NAMED]),
            unknown_documents_total=len(unknown),
            in_eval_dataset=tuple(overlap[:NAMED]),
            in_eval_dataset_total=len(overlap),
        )

    def grade(
        self,
        query_id: str | None,
        text: str,
        doc_id: str,
        grade: int | None,
        *,
        judge: str | None = None,
        by: GivenBy = "person",
        note: str = "",
    ) -> JudgedQuery:
        """Keep one judgment, beside those that the query has; the query as it is judged then.

        Args:
            query_id: None for that of the judged query in these words, or a new one.
            grade: 0 to 3, 1 and more is relevant; None takes the judgment back, and what another judge said last holds.
            judge: whose grade it is; None: nobody says, and then there is no note.
            by: whether the judge is a person or a model. What a model says is its rating, and no judgment.

        Raises:
            CorpusNotFound, DocumentNotFound.
            InvalidInput: another grade, or a query or an id that nobody can take.
        """
        if query_id is None:
            query_id = self._query_id(text)
        _check_grade(query_id, text, grade)
        check_note(note)
        if judge is not None:
            check_judge(judge)
        said = None if judge is None else Said(judge, by, note.strip())
        store = self._folder.store
        if grade is not None:
            store.documents.get(self.corpus_id, doc_id)
        left = store.judgments.grade(self.corpus_id, query_id, text, doc_id, grade, said)
        return JudgedQuery(query_id, text, left)

    def _query_id(self, text: str) -> str:
        known = find_query(text, self._folder.store.judgments.list(self.corpus_id))
        return known.query_id if known else query_id_of(text)

    def get(self) -> JudgedQueries:
        """The judgments to train from.

        Raises:
            CorpusNotFound.
        """
        self.require()
        return JudgedQueries(corpus_id=self.corpus_id, queries=tuple(self._folder.store.judgments.list(self.corpus_id)))

    def ratings(self, query_id: str | None = None) -> JudgedBy:
        """What each judge said, with the notes; of one query, or of all.

        Raises:
            CorpusNotFound.
        """
        self.require()
        found = self._folder.store.ratings.list(self.corpus_id, query_id)
        own: dict[str, list[Rating]] = {}
        for rating in found:
            own.setdefault(rating.judge, []).append(rating)
        judges = [
            Judge(judge=name, by=of[-1].by, ratings=len(of), queries=len({one.query_id for one in of}))
            for name, of in own.items()
        ]
        judges.sort(key=lambda judge: (-judge.ratings, judge.judge))
        return JudgedBy(corpus_id=self.corpus_id, judges=tuple(judges), ratings=tuple(found))

    def agreement(self, a: str, b: str) -> Agreement:
        """How far two judges agree on the documents that both rated.

        Raises:
            CorpusNotFound.
            NotFound: one of them rated nothing here.
        """
        return agreement(self.ratings(), a, b)


def _check_origin(bundle: Mapping[str, Any] | None, judge: str | None, by: GivenBy, *, replace: bool) -> None:
    if by == "model" and (judge is None or replace):
        raise InvalidInput("by: a model is named by `judge`, and its grades take nobody's place.", field="by")
    if (source := (bundle or {}).get("source")) not in (None, "judgments"):
        raise InvalidInput(f"source: these labels are from {whose(source)}, and no judgments.", field="source")
    if judge is not None:
        check_judge(judge)


def _check_grade(query_id: str, text: str, grade: int | None) -> None:
    fault = id_fault(query_id, "query_id") or (None if text.strip() else "text is empty")
    if fault or (grade is not None and not 0 <= grade <= MAX_GRADE):
        raise InvalidInput(f"{fault or f'grade: 0 to {MAX_GRADE}'}.", grade=grade)
    check_text("text", text)


def find_query(text: str, queries: Iterable[JudgedQuery]) -> JudgedQuery | None:
    """The query that is asked in these words."""
    wanted = normalise(text)
    return next((query for query in queries if normalise(query.text) == wanted), None)


def query_id_of(text: str) -> str:
    """The query_id of a query that nobody named."""
    return f"judged-{hashlib.sha256(normalise(text).encode(errors='surrogatepass')).hexdigest()[:12]}"


def whose(source: object) -> str:
    """Whose word labels are that nobody judged."""
    return "a model" if source == "judge" else "logs"


def unknown_documents(folder: DataFolder, corpus_id: str, queries: Sequence[JudgedQuery]) -> list[str]:
    """The judged documents that the corpus lacks, by doc_id."""
    wanted = {doc_id for query in queries for doc_id in query.judgments}
    return sorted(wanted - folder.store.documents.exists(corpus_id, wanted))


def judged_queries(judgments: Given, queries: Given = None) -> list[JudgedQuery]:
    """Judged queries in any form that a program holds them in, each with a text.

    Args:
        judgments: JudgedQuery, or dictionaries with query_id, text and judgments; {query_id: {doc_id: grade}}; a
            DataFrame (query_id, doc_id, grade); the path of qrels, or of a .jsonl.
        queries: {query_id: text}, a DataFrame (query_id, text), or the path of topics, where `judgments` has no texts.

    Raises:
        InvalidInput: there is no query, one cannot be read or has no text.
    """
    found = given_judgments(judgments, given_queries(queries) if queries is not None else None)
    wordless = [query.query_id for query in found if not query.text.strip()]
    if wordless:
        raise InvalidInput(
            f"{len(wordless)} queries have no text, as {wordless[0]!r}: put(judgments, queries={{query_id: text}}).",
            queries=wordless[:NAMED],
        )
    check_queries(found)
    return found


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


def check_judge(judge: str) -> None:
    """Refuse a name that cannot be kept.

    Raises:
        InvalidInput.
    """
    fault = id_fault(judge, "judge")
    if fault:
        raise InvalidInput(f"{fault}.", field="judge")


def check_note(note: str) -> None:
    """Refuse a note that cannot be kept.

    Raises:
        InvalidInput.
    """
    check_text("note", note)
    if len(note) > MAX_NOTE_CHARS:
        raise InvalidInput(f"note: at most {MAX_NOTE_CHARS:,} characters.", field="note")


MAX_NOTE_CHARS = 2000
MAX_GRADE = 3
"""The highest grade that a judge gives one document at a time."""
NAMED = 20
"""Rows named one by one in an answer; the rest is counted."""
