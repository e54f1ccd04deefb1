"""Verbs about what was made: runs, triplets, models and their promotion, evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from tribrid.answers.report import EvaluationReport, QueryRows
from tribrid.app.export import export_model
from tribrid.app.lineage import promotion_view, record, training_queries
from tribrid.app.views import iso, job_view, model_view, triplet_view
from tribrid.errors import InvalidInput, JobNotFound, MissingExtra, RunNotFound
from tribrid.evaluation.measures import report_key
from tribrid.loop import promote
from tribrid.store.reviews import StoredTriplet
from tribrid.types import Event, Job, JobKind, Mark, Passage, Source, TripletStatus
from tribrid.workspace import Workspace

_Choice = TypeVar("_Choice", bound=StrEnum)


class Registry:
    """See the module."""

    workspace: Workspace

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it stands.

        Raises:
            JobNotFound.
        """
        return job_view(self.workspace.store.jobs.get(job_id))

    def run(self, run_id: str) -> dict[str, Any]:
        """A training run: its state, parameters, and what it made; of one that made nothing yet, its last numbers.

        Raises:
            RunNotFound.
        """
        job = self._run(run_id)
        result: Mapping[str, Any] = job.result or {}
        model_id = result.get("model_id")
        manifest = self.workspace.store.models.get(model_id).manifest if model_id else {}
        return {
            "run_id": run_id,
            **job_view(job),
            "model_id": model_id,
            "metrics": result.get("metrics") or self._so_far(run_id),
            "config": manifest.get("config"),
            "metrics_url": f"/reranker/train/run/{run_id}/metrics",
        }

    def _so_far(self, run_id: str) -> dict[str, Any] | None:
        """The last value of each number that a run has told; None where it has told none."""
        found: dict[str, Any] = {}
        for data in self.workspace.store.events.metrics(run_id):
            found |= data
        return found or None

    def runs(self, corpus_id: str) -> list[dict[str, Any]]:
        """The corpus's training runs, newest first.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        found = self.workspace.store.jobs.list(corpus_id, JobKind.TRAIN)
        return [
            {"run_id": job.job_id, **job_view(job), "model_id": (job.result or {}).get("model_id")} for job in found
        ]

    def events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        """The stored events of a job after `after_seq`, in order.

        Raises:
            RunNotFound.
        """
        self._run(run_id)
        return self.workspace.store.events.read(run_id, after_seq, limit)

    def models(self, corpus_id: str) -> dict[str, Any]:
        """The corpus's model versions, its aliases, and every promotion.

        Raises:
            CorpusNotFound.
        """
        store = self.workspace.store
        store.corpora.get(corpus_id)
        return {
            **self._aliases(corpus_id),
            "models": [model_view(model) for model in store.models.list(corpus_id)],
            "promotions": [promotion_view(row) for row in store.models.promotions(corpus_id)],
        }

    def model(self, model_id: str) -> dict[str, Any]:
        """A model version: what it is, what it was made from, and what became of it.

        Raises:
            ModelNotFound.
        """
        return record(self.workspace, model_id)

    def training_queries(self, model_id: str, *, offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """A page of the queries that a model was trained on, each with the lists, judgments or documents behind it.

        Raises:
            ModelNotFound.
        """
        return training_queries(self.workspace, model_id, offset, limit)

    def export_model(self, model_id: str, folder: str | Path) -> dict[str, Any]:
        """Write a model version as a folder for other libraries, with its card.

        Raises:
            ModelNotFound, ModelUnavailable.
            InvalidInput: the folder is there already, or cannot be written.
        """
        return export_model(self.workspace, model_id, Path(folder))

    def promote(
        self, corpus_id: str, model_id: str | None = None, reason: str = "", *, force: bool = False
    ) -> dict[str, Any]:
        """Serve a model version from the next search on.

        Args:
            model_id: None for the newest.
            reason: kept; needed with `force`.
            force: also one that no evaluation shows to be better than what serves now.

        Raises:
            CorpusNotFound, ModelNotFound, NoModel, ModelUnavailable.
            NotProven: it lost, or was never compared with what serves now; and no force.
            InvalidInput: force without a reason.
        """
        self.workspace.store.corpora.get(corpus_id)
        if force and not reason.strip():
            raise InvalidInput("reason: a promotion by force needs a written reason, which is kept.")
        promote.promote(self.workspace, corpus_id, model_id, reason.strip(), force=force)
        return self._aliases(corpus_id)

    def rollback(self, corpus_id: str, reason: str = "") -> dict[str, Any]:
        """Serve what was served before the newest promotion that stands. Again: what was served before that one.

        Raises:
            CorpusNotFound.
            NoModel: there is nothing to go back to.
        """
        self.workspace.store.corpora.get(corpus_id)
        self.workspace.store.models.rollback(corpus_id, reason or "rolled back")
        return self._aliases(corpus_id)

    def _aliases(self, corpus_id: str) -> dict[str, Any]:
        """Who has which name. `previous` is what a rollback brings, null for no trained model; whether there is
        anything to roll back says `can_roll_back`.
        """
        models = self.workspace.store.models
        newest = next(iter(models.promotions(corpus_id)), None)
        back = newest is not None and not newest.first_state
        return {"corpus_id": corpus_id, **models.aliases(corpus_id), "can_roll_back": back}

    def triplets(
        self,
        corpus_id: str,
        *,
        source: str | None = None,
        status: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> dict[str, Any]:
        """A page of the newest triplets, with source, weight, reason and status.

        Args:
            status: `review` for those whose negative may be relevant and that wait for somebody to decide; `active`,
                `accepted`, `flipped`, `dropped`; None for all.

        Raises:
            CorpusNotFound, NoTriplets, InvalidInput.
        """
        store = self.workspace.store
        store.corpora.get(corpus_id)
        origin, standing = _one_of(Source, "source", source), _one_of(TripletStatus, "status", status)
        latest = store.triplets.latest(corpus_id)
        rows, total = store.triplets.page(corpus_id, latest.triplet_set_id, origin, offset, limit, standing)
        passages = self._passages(corpus_id, rows)
        return {
            "corpus_id": corpus_id,
            "triplet_set_id": latest.triplet_set_id,
            "created_at": iso(latest.created_us),
            "counts": dict(latest.counts),
            "total": total,
            "offset": offset,
            "triplets": [triplet_view(row, passages) for row in rows],
        }

    def review(self, triplet_id: str, decision: str) -> dict[str, Any]:
        """Decide on a triplet, whose negative may be relevant; the triplet as it stands then.

        It holds at once for the mined set and for every later mining; a new decision takes the place of the old.

        Args:
            decision: `accept`: a true negative, to be trained on; `flip`: a positive of the query; `drop`: neither.

        Raises:
            TripletNotFound, InvalidInput.
            Conflict: the same document was decided otherwise for the same query.
        """
        mark = _one_of(Mark, "decision", decision)
        if mark is None:
            raise InvalidInput(f"decision: one of {[m.value for m in Mark]} is needed.")
        store = self.workspace.store
        corpus_id = store.reviews.decide(triplet_id, mark)
        row = store.triplets.find(triplet_id)
        return {"corpus_id": corpus_id, **triplet_view(row, self._passages(corpus_id, [row]))}

    def _passages(self, corpus_id: str, rows: Iterable[StoredTriplet]) -> Mapping[tuple[str, int], Passage]:
        keys = {key for row in rows for key in (row.triplet.positive, row.triplet.negative)}
        return self.workspace.index(corpus_id).passages(keys)

    def evaluation(self, evaluation_id: str) -> EvaluationReport:
        """A stored report. `promoted` is what became of it: a model that won and then did not load, or against which
        another came to serve meanwhile, was not promoted.

        Raises:
            EvaluationNotFound.
        """
        store = self.workspace.store
        report = store.evaluations.get(evaluation_id)
        if report.promoted and report.corpus_id is not None:
            rows = store.models.promotions(report.corpus_id)
            promoted = any(row.evaluation_id == evaluation_id for row in rows)
            return report.model_copy(update={"promoted": promoted})
        return report

    def evaluation_queries(
        self, evaluation_id: str, *, offset: int = 0, limit: int = 100, sort: str | None = None
    ) -> QueryRows:
        """A page of a report's queries, with both rankings. `sort` names a number, e.g. -delta_primary, -delta.ndcg@10.

        Raises:
            EvaluationNotFound, InvalidInput.
        """
        path = None if sort is None else _row_path(sort)
        rows, total = self.workspace.store.evaluations.queries(evaluation_id, offset, limit, path)
        return QueryRows(evaluation_id=evaluation_id, total=total, offset=offset, queries=tuple(rows))

    def evaluations(self, corpus_id: str) -> list[dict[str, Any]]:
        """The corpus's evaluations, newest first.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        return [
            {
                "evaluation_id": row.evaluation_id,
                "created_at": iso(row.created_us),
                "model_id": row.report.model_id,
                "run_id": row.report.run_id,
                "decision": row.report.verdict.decision,
            }
            for row in self.workspace.store.evaluations.list(corpus_id)
        ]

    def _run(self, run_id: str) -> Job:
        try:
            job = self.workspace.store.jobs.get(run_id)
        except JobNotFound:
            job = None
        if job is None or job.kind is not JobKind.TRAIN:
            raise RunNotFound(
                f"There is no training run {run_id!r}. GET /reranker/train/runs lists them.", run_id=run_id
            )
        return job


def _row_path(sort: str) -> str:
    """The path into a report's rows, where a measure stands under its report key: delta.nDCG@10 is delta.ndcg@10."""
    side, dot, measure = sort.partition(".")
    if dot and side.removeprefix("-") in ("before", "after", "delta"):
        with suppress(InvalidInput, MissingExtra):  # what can be named instead, the store says
            return f"{side}.{report_key(measure)}"
    return sort


def _one_of(kind: type[_Choice], name: str, given: str | None) -> _Choice | None:
    if given is None:
        return None
    if given not in set(kind):
        raise InvalidInput(f"{name}: {given!r} is not one of {[choice.value for choice in kind]}.")
    return kind(given)
