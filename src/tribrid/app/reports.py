"""Verbs about reports: one evaluation as a page or as JUnit XML, and what differs between two of them or two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tribrid.answers.difference import EvaluationDifference, RunDifference
from tribrid.answers.report import EvaluationReport, QueryRow
from tribrid.app.registry import Registry
from tribrid.app.rundiff import run_difference
from tribrid.app.views import job_view
from tribrid.errors import NoEvalDataset
from tribrid.evaluation.difference import Evaluated, difference
from tribrid.report.junit import render_junit
from tribrid.report.page import render_html
from tribrid.report.queries import named_documents
from tribrid.types import Document, JudgedQuery

_ROWS_AT_ONCE = 1000
_MANIFEST = ("config", "data", "base", "encoder", "retrieval", "reranking", "versions")
"""What a model's manifest says of where it comes from."""


class Reports(Registry):
    """See the module."""

    def evaluation_page(self, evaluation_id: str) -> str:
        """The report as one HTML page that loads nothing from anywhere. The documents that it shows are quoted as they
        are now; of one that is gone only the id is left.

        Raises:
            EvaluationNotFound.
        """
        report = self.workspace.store.evaluations.get(evaluation_id)
        rows = list(self._rows(evaluation_id))
        return render_html(report, rows, self._documents(report, rows))

    def evaluation_junit(self, evaluation_id: str) -> str:
        """The report's checks as JUnit XML.

        Raises:
            EvaluationNotFound.
        """
        return render_junit(self.workspace.store.evaluations.get(evaluation_id))

    def evaluation_diff(self, a: str, b: str, *, offset: int = 0, limit: int = 50) -> EvaluationDifference:
        """The change from a to b in each measure, over the queries that both asked and judged alike; and a page of
        these queries, the largest change first.

        Raises:
            EvaluationNotFound.
            NotComparable: they have no such query, or no measure, in common; says why.
        """
        sides = [self._evaluated(evaluation_id) for evaluation_id in (a, b)]
        config = self.workspace.config(sides[0].report.corpus_id)
        found = difference(sides[0], sides[1], config.evaluation)
        return found.model_copy(update={"offset": offset, "queries": found.queries[offset : offset + limit]})

    def run_diff(self, a: str, b: str) -> RunDifference:
        """What differs between two training runs, by dotted name: settings, data, base model, library versions,
        metrics, and the last value of each number told while training. `notes` say what may not be compared.

        Raises:
            RunNotFound.
        """
        found = run_difference(self._run_facts(a), self._run_facts(b))
        evaluations = {"a": self._evaluation_of(a), "b": self._evaluation_of(b)}
        return found.model_copy(update={"evaluations": evaluations})

    def _rows(self, evaluation_id: str) -> Iterator[QueryRow]:
        offset, total = 0, 1
        while offset < total:
            page, total = self.workspace.store.evaluations.queries(evaluation_id, offset, _ROWS_AT_ONCE)
            if not page:
                return
            yield from page
            offset += len(page)

    def _documents(self, report: EvaluationReport, rows: Sequence[QueryRow]) -> Mapping[str, Document]:
        if report.corpus_id is None:
            return {}
        return self.workspace.store.documents.get_many(report.corpus_id, sorted(named_documents(report, rows)))

    def _evaluated(self, evaluation_id: str) -> Evaluated:
        report = self.workspace.store.evaluations.get(evaluation_id)
        return Evaluated(report, list(self._rows(evaluation_id)), self._judged(report), self._candidates(report))

    def _candidates(self, report: EvaluationReport) -> Mapping[str, Sequence[str]]:
        """What was reranked, kept by its corpus and hash, formerly by the hash alone; empty if it is gone."""
        sha256, stored = report.candidates.sha256, self.workspace.store.candidates
        frozen = stored.get(f"{report.corpus_id}/{sha256}") or stored.get(sha256) or {}
        doc_ids: Mapping[str, Sequence[str]] = frozen.get("doc_ids", {})
        return doc_ids

    def _judged(self, report: EvaluationReport) -> Sequence[JudgedQuery] | None:
        try:
            return self.workspace.store.evalsets.get(str(report.corpus_id), report.eval_dataset.sha256).queries
        except NoEvalDataset:
            return None

    def _run_facts(self, run_id: str) -> dict[str, Any]:
        """All that is known of a training run, in sections."""
        job = self._run(run_id)
        model_id = (job.result or {}).get("model_id")
        manifest = self.workspace.store.models.get(model_id).manifest if model_id else {}
        return {
            "run_id": run_id,
            **{name: job_view(job)[name] for name in ("corpus_id", "state", "params", "problem")},
            **{name: manifest.get(name) for name in _MANIFEST},
            "metrics": (job.result or {}).get("metrics"),
            "events": list(self.workspace.store.events.metrics(run_id)),
        }

    def _evaluation_of(self, run_id: str) -> str | None:
        """The newest evaluation of what the run made."""
        corpus_id = self.workspace.store.jobs.get(run_id).corpus_id
        rows = self.workspace.store.evaluations.list(corpus_id)
        return next((row.evaluation_id for row in rows if row.report.run_id == run_id), None)
