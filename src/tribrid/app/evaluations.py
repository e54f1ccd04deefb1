"""Evaluations: reports, as they are, query by query, as a page, as JUnit XML, and two compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from tribrid.answers.answer import time_at
from tribrid.answers.difference import EvaluationDifference
from tribrid.answers.evaluations import EvaluationRow
from tribrid.answers.report import EvaluationReport, QueryRow, QueryRows
from tribrid.app.parts import FolderPart
from tribrid.config import Config
from tribrid.errors import InvalidInput, MissingExtra, NoEvalDataset
from tribrid.evaluation.difference import Evaluated, difference
from tribrid.evaluation.measures import report_key
from tribrid.report.junit import render_junit
from tribrid.report.page import render_html
from tribrid.report.queries import named_documents
from tribrid.store.evaluations import no_evaluation
from tribrid.types import Document, JudgedQuery
from tribrid.workspace.corpus import OpenCorpus, open_corpus

_ROWS_AT_ONCE = 1000


class Evaluations(FolderPart):
    """Evaluations, by their id."""

    def get(self, evaluation_id: str) -> EvaluationReport:
        """A stored report. `promoted` is what became of it: a model that won and then did not load, or against which
        another came to serve meanwhile, was not promoted.

        Raises:
            EvaluationNotFound.
        """
        store = self._folder.store
        report = self._report(evaluation_id)
        if report.promoted and report.corpus_id is not None:
            rows = store.models.promotions(report.corpus_id)
            promoted = any(row.evaluation_id == evaluation_id for row in rows)
            return report.model_copy(update={"promoted": promoted})
        return report

    def queries(
        self,
        evaluation_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        sort: str | None = None,
        contains: str = "",
        kind: str | None = None,
    ) -> QueryRows:
        """A page of a report's queries, with both rankings. `sort` names a number, e.g. -delta_primary, -delta.ndcg@10.

        Args:
            contains: only queries whose text holds this.
            kind: only queries of this slice, by its `key`. Reports of older releases do not say which these are.

        Raises:
            EvaluationNotFound, InvalidInput.
        """
        path = None if sort is None else _row_path(sort)
        self._report(evaluation_id)
        rows, total = self._folder.store.evaluations.queries(evaluation_id, offset, limit, path, contains, kind)
        return QueryRows(evaluation_id=evaluation_id, total=total, offset=offset, queries=tuple(rows))

    def page(self, evaluation_id: str, studio: str | None = None) -> str:
        """The report as one HTML page that loads nothing from anywhere. The documents that it shows are quoted as they
        are now; of one that is gone only the id is left.

        Args:
            studio: the address of the corpus's pages, for links to judge, and to all queries; None: no links.

        Raises:
            EvaluationNotFound.
        """
        report = self._report(evaluation_id)
        rows = list(self._rows(evaluation_id))
        return render_html(report, rows, self._documents(report, rows), studio)

    def junit(self, evaluation_id: str) -> str:
        """The report's checks as JUnit XML.

        Raises:
            EvaluationNotFound.
        """
        return render_junit(self._report(evaluation_id))

    def diff(self, a: str, b: str, *, offset: int = 0, limit: int = 50) -> EvaluationDifference:
        """The change from a to b in each measure, over the queries that both asked and judged alike; and a page of
        these queries, the largest change first.

        Raises:
            EvaluationNotFound.
            NotComparable: they have no such query, or no measure, in common; says why.
        """
        sides = [self._evaluated(evaluation_id) for evaluation_id in (a, b)]
        config = self._config(sides[0].report.corpus_id)
        found = difference(sides[0], sides[1], config.evaluation)
        return found.model_copy(update={"offset": offset, "queries": found.queries[offset : offset + limit]})

    def _report(self, evaluation_id: str) -> EvaluationReport:
        """The report as it was stored, if every corpus that it tells of is within bounds.

        Raises:
            EvaluationNotFound.
        """
        report = self._folder.store.evaluations.get(evaluation_id)
        told_of = [str(report.corpus_id), *(part.corpus_id for part in report.corpora)]
        if not self._bounds.hold(*told_of):
            raise no_evaluation(evaluation_id)
        return report

    def _config(self, corpus_id: str | None) -> Config:
        return open_corpus(self._folder, corpus_id).config if corpus_id else self._folder.config()

    def _rows(self, evaluation_id: str) -> Iterator[QueryRow]:
        offset, total = 0, 1
        while offset < total:
            page, total = self._folder.store.evaluations.queries(evaluation_id, offset, _ROWS_AT_ONCE)
            if not page:
                return
            yield from page
            offset += len(page)

    def _documents(self, report: EvaluationReport, rows: Sequence[QueryRow]) -> Mapping[str, Document]:
        if report.corpus_id is None:
            return {}
        return self._folder.store.documents.get_many(report.corpus_id, sorted(named_documents(report, rows)))

    def _evaluated(self, evaluation_id: str) -> Evaluated:
        report = self._report(evaluation_id)
        return Evaluated(report, list(self._rows(evaluation_id)), self._judged(report), self._candidates(report))

    def _candidates(self, report: EvaluationReport) -> Mapping[str, Sequence[str]]:
        """What was reranked, kept by its corpus and hash, formerly by the hash alone; empty if it is gone."""
        sha256, stored = report.candidates.sha256, self._folder.store.candidates
        frozen = stored.get(f"{report.corpus_id}/{sha256}") or stored.get(sha256) or {}
        doc_ids: Mapping[str, Sequence[str]] = frozen.get("doc_ids", {})
        return doc_ids

    def _judged(self, report: EvaluationReport) -> Sequence[JudgedQuery] | None:
        try:
            return self._folder.store.evalsets.get(str(report.corpus_id), report.eval_dataset.sha256).queries
        except NoEvalDataset:
            return None


def _row_path(sort: str) -> str:
    """The path into a report's rows, where a measure stands under its report key: delta.nDCG@10 is delta.ndcg@10."""
    side, dot, measure = sort.partition(".")
    if dot and side.removeprefix("-") in ("before", "after", "delta"):
        with suppress(InvalidInput, MissingExtra):  # what can be named instead, the store says
            return f"{side}.{report_key(measure)}"
    return sort


def _primary(report: EvaluationReport) -> dict[str, float]:
    """Each system's mean of the measure that decides."""
    means = ((name, system.means.get(report.primary_measure)) for name, system in report.systems.items() if system)
    return {name: value for name, value in means if value is not None}


def list_evaluations(corpus: OpenCorpus, limit: int) -> list[EvaluationRow]:
    """The corpus's evaluations, newest first, at most `limit`: each takes milliseconds, its whole report is read."""
    return [
        EvaluationRow(
            evaluation_id=row.evaluation_id,
            corpus_id=corpus.corpus_id,
            created_at=time_at(row.created_us),
            model_id=row.report.model_id,
            run_id=row.report.run_id,
            decision=row.report.verdict.decision,
            scheduled=row.report.scheduled,
            measure=row.report.primary_measure,
            systems=_primary(row.report),
        )
        for row in corpus.store.evaluations.list(corpus.corpus_id, limit)
    ]
