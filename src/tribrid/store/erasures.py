"""Erasure: a query, a user's events or a document goes from everything that later runs read, in one transaction.

Models stay: they are immutable, and hold what they learned. Who erases is told which they are. What is kept of an
erasure says how much went and who had used it, never what it was.
"""

from __future__ import annotations

import builtins
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from tribrid.answers.erasures import ErasedTripletSet, ErasureKind, ErasureReport, StoppedJob, TaughtModel
from tribrid.errors import NotFound
from tribrid.store import tables
from tribrid.store.corpora import bump_version, require_corpus
from tribrid.store.database import Database, now_us
from tribrid.store.erasing import OF_CONTENT, Erasing, Heard, Mark, erasures_seen
from tribrid.store.erasing_documents import ErasingDocument
from tribrid.store.segments import Segments
from tribrid.types import JobKind, JudgedQuery, Source, State
from tribrid.types.texts import came_as

_ERASURE = tables.erasures.c
_MODEL = tables.models.c
_JOB = tables.jobs.c


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure."""

    erasure_number: int
    kind: ErasureKind
    report: ErasureReport
    created_us: int


class Erasures:
    """What was erased, and erasing. Queries are compared by `normalise`: what makes two texts one query."""

    def __init__(self, database: Database, segments: Segments) -> None:
        self._database, self._segments = database, segments

    def count(self, corpus_id: str, kinds: Collection[str] = ()) -> int:
        """How many erasures the corpus has seen, or how many of these kinds."""
        with self._database.read() as connection:
            return erasures_seen(connection, corpus_id, kinds)

    def formerly(self, corpus_id: str, sha256: str) -> builtins.list[str]:
        """The eval dataset's hash, and those that it had before something was erased from it, newest first."""
        replaced = {
            row.replaced_by: row.sha256
            for erasure in self.list(corpus_id)
            for row in erasure.report.eval_datasets
            if row.replaced_by
        }
        names = [sha256]
        while (older := replaced.get(names[-1])) is not None and older not in names:
            names.append(older)
        return names

    def list(self, corpus_id: str) -> builtins.list[Erasure]:
        """Every erasure, newest first."""
        columns = (_ERASURE.erasure_number, _ERASURE.kind, _ERASURE.report, _ERASURE.created_us)
        every = sa.select(*columns).where(_ERASURE.corpus_id == corpus_id).order_by(_ERASURE.erasure_number.desc())
        with self._database.read() as connection:
            return [
                Erasure(number, kind, ErasureReport.model_validate(report), at_us)
                for number, kind, report, at_us in connection.execute(every)
            ]

    def query(self, corpus_id: str, same: Callable[[str], bool]) -> Erasure:
        """Erase a query, whoever asked it: its lists, judgments, triplets, decisions, its place in eval datasets and
        in reports.

        Raises:
            CorpusNotFound, NotFound: nothing holds it.
        """

        def work(erasing: Erasing) -> None:
            texts = erasing.texts(same)
            erasing.lists_of(texts)
            erasing.judgments_of(texts)
            erasing.triplets(lambda text, _: same(text))
            erasing.reviews(same)
            erasing.judge_labels(same)
            asked_as = erasing.report_rows(same)
            erasing.risers(texts)
            asked_as.update(erasing.eval_datasets(lambda query: None if same(query.text) else query))
            erasing.candidates(sorted(asked_as))
            erasing.stories(texts)

        return self._erase(corpus_id, "query", work)

    def lists(
        self, corpus_id: str, normalise: Callable[[str], str], *, query_id: str = "", client_id: str = ""
    ) -> Erasure:
        """Erase the lists that were shown under a query_id, or to a client, what was done with them, and the triplets
        that they have a part in: those of the same queries that were mined from logs since. An eval dataset from logs
        loses the queries that nobody else asked.

        Raises:
            CorpusNotFound, NotFound: there is no such list.
        """

        def work(erasing: Erasing) -> None:
            lists = erasing.lists("query_id", query_id) if query_id else erasing.lists("client_id", client_id)
            asked: defaultdict[str, list[Heard]] = defaultdict(list)
            for one in lists:
                asked[normalise(one.query)].append(one)

            def used(text: str, mark: Mark) -> bool:
                return any(one.before(mark) for one in asked.get(normalise(text), ()))

            erasing.triplets(used, Source.LOGS)
            alone = erasing.unheard([one.query for one in lists], normalise)
            erasing.reviews(lambda text: normalise(text) in alone)
            erasing.judge_labels(lambda text: normalise(text) in alone)
            asked_as = erasing.eval_datasets(lambda query: None if normalise(query.text) in alone else query, "logs")
            erasing.candidates(asked_as)
            unheard = {one.query for one in lists if normalise(one.query) in alone}
            erasing.risers(unheard)
            erasing.stories(unheard)

        return self._erase(corpus_id, "list" if query_id else "client", work)

    def document(self, corpus_id: str, doc_id: str) -> Erasure:
        """Erase a document, and the texts that came under its id with a rerank, with their judgments, places in lists
        and reports, triplets and decisions. The index is derived: bring it in line afterwards.

        Raises:
            CorpusNotFound, NotFound: nothing names it.
        """

        def without(query: JudgedQuery) -> JudgedQuery:
            left = {other: grade for other, grade in query.judgments.items() if not came_as(other, doc_id)}
            return query if len(left) == len(query.judgments) else replace(query, judgments=left)

        def work(erasing: Erasing) -> None:
            document = ErasingDocument(erasing, doc_id)
            document.everywhere()
            erasing.risers(sorted(document.names))
            erasing.eval_datasets(without)
            erasing.candidates(sorted(document.names))

        return self._erase(corpus_id, "document", work)

    def _erase(self, corpus_id: str, kind: ErasureKind, work: Callable[[Erasing], None]) -> Erasure:
        """One transaction, at whose end the erasure is written down."""
        with self._database.begin() as connection:
            require_corpus(connection, corpus_id, alone=True)
            erasing = Erasing(connection, self._segments, corpus_id)
            work(erasing)
            if not erasing.counts.total():
                raise NotFound(f"Nothing in corpus {corpus_id!r} holds it: nothing was erased.", corpus_id=corpus_id)
            erasing.lower_marks()
            if erasing.counts["documents"]:
                bump_version(connection, corpus_id)
            report = ErasureReport(
                erased={name: count for name, count in erasing.counts.items() if count},
                triplet_sets=tuple(
                    ErasedTripletSet(triplet_set_id=name, triplets=n) for name, n in erasing.sets.items()
                ),
                eval_datasets=tuple(erasing.datasets),
                models=_models(connection, corpus_id, erasing.sets),
                jobs=_jobs(connection, corpus_id, kind, erasing.counts),
            )
            at_us, kept = now_us(), report.model_dump(mode="json")
            row = {"corpus_id": corpus_id, "kind": kind, "report": kept, "created_us": at_us}
            new = sa.insert(tables.erasures).returning(_ERASURE.erasure_number)
            number = connection.execute(new.values(row)).scalar_one()
        self._segments.remove_dropped()
        self._database.forget()
        return Erasure(number, kind, report, at_us)


def _models(connection: sa.Connection, corpus_id: str, sets: Mapping[str, int]) -> tuple[TaughtModel, ...]:
    """The models that were trained on these sets, with the names they bear."""
    trained_on = _MODEL.manifest[("data", "triplet_set_id")].as_string()
    these = sa.select(_MODEL.model_id).where(_MODEL.corpus_id == corpus_id, trained_on.in_(list(sets)))
    alias = tables.aliases.c
    named = connection.execute(sa.select(alias.alias, alias.model_id).where(alias.corpus_id == corpus_id)).all()
    return tuple(
        TaughtModel(model_id=model_id, aliases=tuple(sorted(name for name, of in named if of == model_id)))
        for model_id in connection.execute(these.order_by(_MODEL.created_us.desc(), _MODEL.model_id)).scalars()
    )


def _jobs(
    connection: sa.Connection, corpus_id: str, kind: ErasureKind, gone: Mapping[str, int]
) -> tuple[StoppedJob, ...]:
    """The jobs under way that may have read it already: they end with an error instead of a result."""
    kinds = [
        JobKind.MINE.value,
        JobKind.JUDGE.value,
        *([JobKind.TRAIN.value] if gone.get("triplets") else []),
        *([JobKind.EVALUATE.value] if kind in OF_CONTENT else []),
    ]
    running = (_JOB.corpus_id == corpus_id, _JOB.state == State.RUNNING.value, _JOB.kind.in_(kinds))
    found = sa.select(_JOB.job_id, _JOB.kind).where(*running).order_by(_JOB.job_number)
    return tuple(StoppedJob(job_id=job_id, kind=kind) for job_id, kind in connection.execute(found))
