"""The verbs that take long, as jobs: mine, train, evaluate. What can be known at once is refused at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tribrid import jobs
from tribrid.app.views import job_view
from tribrid.asking import check as check_generation
from tribrid.comparing import refuse_leakage
from tribrid.config import with_params
from tribrid.errors import Cancelled, Failed, InvalidInput, ModelNotFound, NoDocuments, NoTriplets
from tribrid.jobs import Supervisor
from tribrid.scoring.models import locate, require_torch
from tribrid.types import Event, Job, JobKind, Source, State
from tribrid.workspace import NO_PARAMS, Workspace

Watch = Callable[[Event], None]


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
            latest = store.triplets.latest(corpus_id)
            refuse_leakage(self.workspace, corpus_id, store.triplets.load(latest.triplet_set_id))
        return self._submit(JobKind.TRAIN, corpus_id, dict(hyperparameters or {}))

    def submit_evaluate(self, corpus_id: str, *, model_id: str | None = None) -> Job:
        """Queue an evaluation, behind every training already queued.

        Args:
            model_id: the version to evaluate; None for the one that the latest training made.

        Raises:
            CorpusNotFound, NoDocuments, NoEvalDataset, ModelNotFound.
        """
        self._require_documents(corpus_id)
        self.workspace.store.evalsets.current(corpus_id)
        if model_id is not None:
            owner = self.workspace.store.models.get(model_id).corpus_id
            if owner != corpus_id:
                raise ModelNotFound(f"Corpus {corpus_id!r} has no model {model_id!r}.", model_id=model_id)
        pending = self.workspace.store.jobs.pending(corpus_id, JobKind.TRAIN)
        params = {"model_id": model_id} if model_id else {}
        if pending and not model_id:
            params["run_id"] = pending[-1].job_id
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

    def evaluate(self, corpus_id: str, *, model_id: str | None = None, on_event: Watch | None = None) -> dict[str, Any]:
        """Measure before and after, promote if it won, and return the report.

        Raises:
            As submit_evaluate. Failed: the job failed.
        """
        return self._finished(self.submit_evaluate(corpus_id, model_id=model_id), on_event)

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
        return {**self.workspace.estimate(kind, corpus_id, params), "estimate": True}

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

    def _require_labels(self, corpus_id: str, sources: Sequence[str]) -> None:
        store = self.workspace.store
        there = {
            "logs": store.logs.stats(corpus_id)["with_feedback"] > 0,
            "judgments": store.judgments.counts(corpus_id)["judgments"] > 0,
            "heuristics": True,
        }
        if not any(there[source] for source in sources):
            raise NoTriplets(
                f"There is nothing to mine from {' or '.join(sources)} in {corpus_id!r}: send feedback or import logs, "
                "put judgments, or let the heuristics mine too.",
                corpus_id=corpus_id,
            )
