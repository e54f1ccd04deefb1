"""The verbs that take long, as jobs: mine, train, evaluate. What can be known at once is refused at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribrid import jobs
from tribrid.answers.report import EvaluationReport
from tribrid.app.content import check_measures
from tribrid.app.views import job_view
from tribrid.config import with_params
from tribrid.encoders.models import locate, require_torch
from tribrid.errors import Cancelled, Failed, InvalidInput, NoDocuments, NoTriplets
from tribrid.jobs import Supervisor
from tribrid.loop.arms import prepared, require_model
from tribrid.loop.costs import NO_PARAMS, check_services, estimate
from tribrid.loop.eval_queries import eval_queries_of, refuse_leakage
from tribrid.loop.generation import check as check_generation
from tribrid.mining.splits import QueryMatcher
from tribrid.types import Event, Job, JobKind, Source, State
from tribrid.workspace import Workspace

Watch = Callable[[Event], None]
MAX_CORPORA = 20
"""Other corpora that one evaluation looks at."""


class Learning:
    """See the module."""

    workspace: Workspace
    supervisor: Supervisor

    def submit_mine(self, corpus_id: str, *, max_pairs: int | None = None, sources: Sequence[str] | None = None) -> Job:
        """Queue a mining.

        Args:
            max_pairs: most (query, positive) pairs; None for the setting's value.
            sources: some of logs, judgments, heuristics; None for all there is.

        Raises:
            CorpusNotFound, NoDocuments, NoTriplets: the sources named hold nothing.
            InvalidInput: no such source, or settings of `generation` that do not go together.
        """
        self._require_documents(corpus_id)
        params: dict[str, Any] = {} if max_pairs is None else {"max_pairs": max_pairs}
        with_params(self.workspace.config(corpus_id), "mining", params)
        if sources is not None:
            known = {source.value for source in Source}
            wrong = sorted(set(sources) - known)
            if wrong or not sources:
                raise InvalidInput(f"sources: {wrong or 'an empty list'} is not among {sorted(known)}.", sources=wrong)
            params["sources"] = [source.value for source in Source if source.value in sources]
            self._require_labels(corpus_id, params["sources"])
        if Source.HEURISTICS in params.get("sources", tuple(Source)):
            check_generation(self.workspace.config(corpus_id).generation, self.workspace.prices)
        return self._submit(JobKind.MINE, corpus_id, params)

    def submit_train(self, corpus_id: str, hyperparameters: Mapping[str, Any] | None = None) -> Job:
        """Queue a training on the newest triplets (or on those of a mining that is already queued).

        Raises:
            CorpusNotFound, UnknownSetting, InvalidInput, NoTriplets, ModelUnavailable, MissingExtra.
            Leakage: the triplets hold a query of the eval dataset.
        """
        store = self.workspace.store
        store.corpora.get(corpus_id)
        config = with_params(self.workspace.config(corpus_id), "training", hyperparameters or {})
        if config.training.cross_encoder:
            require_torch("Training a cross-encoder (training.cross_encoder)")
        locate(config.training.base_model)
        if not store.jobs.pending(corpus_id, JobKind.MINE):
            self._refuse_leakage(corpus_id, store.triplets.latest(corpus_id).triplet_set_id)
        return self._submit(JobKind.TRAIN, corpus_id, dict(hyperparameters or {}))

    def submit_evaluate(
        self,
        corpus_id: str,
        *,
        model_id: str | None = None,
        corpus_ids: Sequence[str] = (),
        arms: Sequence[Mapping[str, Any]] = (),
    ) -> Job:
        """Queue an evaluation, behind every training already queued for the corpus.

        Args:
            model_id: the version to evaluate; None for the one that the latest training made.
            corpus_ids: other corpora on which the change is looked at too, each with its own eval dataset and its own
                newest model (one without a model: with this corpus's). Only this corpus's model can be promoted.
            arms: what else takes part, by name: a TREC run (`run`, `restrict`), another version (`model_id`), or a
                rerank service that the operator allows (`provider`, `url`, `model`).

        Raises:
            CorpusNotFound, NoDocuments, NoEvalDataset, ModelNotFound, InvalidInput.
            ModelUnavailable: mode cloud serves, and cannot be asked.
            BudgetSpent: the services asked would cost more than is left.
        """
        others = [name for name in dict.fromkeys(corpus_ids) if name != corpus_id]
        if len(others) > MAX_CORPORA:
            raise InvalidInput(f"corpus_ids: at most {MAX_CORPORA} beside the first.", corpora=len(others))
        for name in (corpus_id, *others):
            self._require_documents(name)
            self.workspace.store.evalsets.current(name)
        check_measures(self.workspace.config(corpus_id).model_dump(mode="json"))
        if model_id is not None:
            require_model(self.workspace, corpus_id, model_id)
        pending = self.workspace.store.jobs.pending(corpus_id, JobKind.TRAIN)
        params: dict[str, Any] = {"model_id": model_id} if model_id else {}
        if pending and not model_id:
            params["run_id"] = pending[-1].job_id
        if others:
            params["corpus_ids"] = others
        if arms:
            params["arms"] = prepared(self.workspace, corpus_id, arms)
        check_services(self.workspace, corpus_id, params)
        return self._submit(JobKind.EVALUATE, corpus_id, params)

    def mine(
        self,
        corpus_id: str,
        *,
        max_pairs: int | None = None,
        sources: Sequence[str] | None = None,
        on_event: Watch | None = None,
    ) -> dict[str, Any]:
        """Mine triplets and wait; returns what was mined by source and rejected by reason.

        Raises:
            As submit_mine. Failed: the job failed.
        """
        return self._finished(self.submit_mine(corpus_id, max_pairs=max_pairs, sources=sources), on_event)

    def train(self, corpus_id: str, *, on_event: Watch | None = None, **hyperparameters: Any) -> dict[str, Any]:
        """Train a reranker and wait; returns run_id, model_id and metrics. Keywords are settings of `training`.

        Raises:
            As submit_train. Failed: the job failed.
        """
        return self._finished(self.submit_train(corpus_id, hyperparameters), on_event)

    def evaluate(
        self,
        corpus_id: str,
        *,
        model_id: str | None = None,
        corpus_ids: Sequence[str] = (),
        arms: Sequence[Mapping[str, Any]] = (),
        on_event: Watch | None = None,
    ) -> EvaluationReport:
        """Measure before and after, promote if it won, and return the report. Arguments: see submit_evaluate.

        Raises:
            As submit_evaluate. Failed: the job failed.
        """
        job = self.submit_evaluate(corpus_id, model_id=model_id, corpus_ids=corpus_ids, arms=arms)
        return EvaluationReport.model_validate(self._finished(job, on_event))

    def wait(self, job_id: str, *, timeout_s: float | None = None, on_event: Watch | None = None) -> Job:
        """The job as it ended, or as it stands after `timeout_s`.

        Raises:
            JobNotFound.
        """
        return jobs.wait(self.workspace.store, job_id, timeout_s, on_event)

    def outcome(self, job: Job) -> dict[str, Any]:
        """A finished job's answer: its result, or its status with the problem."""
        if job.state is State.SUCCEEDED:
            return dict(job.result or {})
        return {"status": job.state, "job_id": job.job_id, "problem": job.problem}

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a queued or running job to end.

        Raises:
            JobNotFound, NotRunning.
        """
        return job_view(jobs.cancel(self.workspace.store, run_id))

    def estimate(self, kind: JobKind, corpus_id: str, params: Mapping[str, Any] = NO_PARAMS) -> dict[str, Any]:
        """What a job with these parameters will cost, before it runs: dollars, and seconds of this machine."""
        return {**estimate(self.workspace, kind, corpus_id, params), "estimate": True}

    def _submit(self, kind: JobKind, corpus_id: str, params: dict[str, Any]) -> Job:
        self.supervisor.ensure_worker()
        return jobs.submit(self.workspace.store, kind, corpus_id, params)

    def _finished(self, job: Job, on_event: Watch | None) -> dict[str, Any]:
        done = self.wait(job.job_id, on_event=on_event)
        if done.state is State.SUCCEEDED:
            return self.outcome(done)
        problem = dict(done.problem or {})
        detail = str(problem.pop("detail", f"The job {job.job_id} ended as {done.state}."))
        if done.state is State.CANCELLED:
            raise Cancelled(detail, job_id=job.job_id)
        raise Failed(detail, job_id=job.job_id, problem=problem.get("code"))

    def _require_documents(self, corpus_id: str) -> None:
        self.workspace.store.corpora.get(corpus_id)
        # Documents that came with a rerank are stored at once, and indexed before the next mining.
        if self.workspace.index(corpus_id).count() == 0 and self.workspace.store.documents.count(corpus_id) == 0:
            raise NoDocuments(
                f"The corpus {corpus_id!r} has no indexed document. Add some with "
                f"POST /corpora/{corpus_id}/documents or `tribrid index`.",
                corpus_id=corpus_id,
            )

    def _refuse_leakage(self, corpus_id: str, triplet_set_id: str) -> None:
        """As the training will, but at once however many triplets there are: loads them only to name what leaks.

        Raises:
            Leakage.
        """
        triplets, asked = self.workspace.store.triplets, eval_queries_of(self.workspace, corpus_id)
        matcher = QueryMatcher(query.text for query in asked)
        if asked and any(matcher.matches(text) for text in triplets.queries(triplet_set_id)):
            refuse_leakage(self.workspace, corpus_id, triplets.load(triplet_set_id))

    def _require_labels(self, corpus_id: str, sources: Sequence[str]) -> None:
        store = self.workspace.store
        there = {
            "logs": store.logs.has_feedback(corpus_id),
            "judgments": store.judgments.counts(corpus_id)["judgments"] > 0,
            "heuristics": True,
        }
        if not any(there[source] for source in sources):
            raise NoTriplets(
                f"There is nothing to mine from {' or '.join(sources)} in {corpus_id!r}: send feedback or import logs, "
                "put judgments, or let the heuristics mine too.",
                corpus_id=corpus_id,
            )
