"""mine, train, evaluate and judge as jobs: what can be known at once is refused at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tribrid import jobs
from tribrid.answers.answer import time_at
from tribrid.answers.costs import CostEstimate
from tribrid.answers.jobs import EvaluationResult, MiningResult, TrainingResult
from tribrid.answers.judging import JudgeLabelPage, JudgeLabelRow, JudgingResult
from tribrid.app.jobs import result_of
from tribrid.app.parts import CorpusPart
from tribrid.app.settings import check_measures
from tribrid.config.sections import TrainingConfig
from tribrid.encoders.models import locate, require_torch, trainable_as
from tribrid.errors import Cancelled, Failed, InvalidInput, ModelUnavailable, NoDocuments, NoTriplets
from tribrid.loop.arms import prepared, require_model
from tribrid.loop.costs import NO_PARAMS, check_services, estimate
from tribrid.loop.eval_queries import eval_queries_of, refuse_leakage
from tribrid.loop.generation import check as check_generation
from tribrid.loop.judge import LOG, PEOPLE, check, judge_in_force, standing
from tribrid.loop.signals import refuse_fields
from tribrid.mining.splits import QueryMatcher
from tribrid.types import Event, Job, JobKind, Source, State
from tribrid.workspace.corpus import OpenCorpus, open_corpus

Watch = Callable[[Event], None]
_Result = TypeVar("_Result", MiningResult, TrainingResult, EvaluationResult, JudgingResult)

MAX_JUDGED = 10_000
MAX_CORPORA = 20
"""Other corpora that one evaluation looks at."""


class Learning(CorpusPart):
    """mine, train, evaluate, judge."""

    def submit_mine(self, *, max_pairs: int | None = None, sources: Sequence[str] | None = None) -> Job:
        """Queue a mining.

        Args:
            max_pairs: most (query, positive) pairs; None for the setting's value.
            sources: some of logs, judgments, judge, heuristics; None for all there is.

        Raises:
            CorpusNotFound, NoDocuments, NoTriplets: the sources named hold nothing.
            InvalidInput: no such source, or settings of `generation` that do not go together.
        """
        corpus = self._open()
        _require_documents(corpus)
        params: dict[str, Any] = {} if max_pairs is None else {"max_pairs": max_pairs}
        corpus.with_params("mining", params)
        if sources is not None:
            known = {source.value for source in Source}
            wrong = sorted(set(sources) - known)
            if wrong or not sources:
                raise InvalidInput(f"sources: {wrong or 'an empty list'} is not among {sorted(known)}.", sources=wrong)
            params["sources"] = [source.value for source in Source if source.value in sources]
            _require_labels(corpus, params["sources"])
        if Source.HEURISTICS in params.get("sources", tuple(Source)):
            check_generation(corpus.config.generation, self._folder.prices)
        return self._submit(JobKind.MINE, params)

    def submit_train(self, hyperparameters: Mapping[str, Any] | None = None) -> Job:
        """Queue a training on the newest triplets (or on those of a mining that is already queued).

        Raises:
            CorpusNotFound, UnknownSetting, NoTriplets, MissingExtra.
            InvalidInput: a hyperparameter is out of bounds, or no training can start from that base model.
            InvalidField: a document's field is not what features.fields says.
            Leakage: the triplets hold a query of the eval dataset.
        """
        store = self._folder.store
        corpus = self._open().with_params("training", hyperparameters or {})
        config = corpus.config
        if config.training.cross_encoder:
            require_torch("Training a cross-encoder (training.cross_encoder)")
        _check_base(config.training)
        refuse_fields(corpus)
        if not store.jobs.pending(self.corpus_id, JobKind.MINE):
            _refuse_leakage(corpus, store.triplets.latest(self.corpus_id).triplet_set_id)
        return self._submit(JobKind.TRAIN, dict(hyperparameters or {}))

    def submit_evaluate(
        self,
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
            InvalidField: a document's field is not what features.fields says.
            Forbidden: another corpus is out of bounds.
            ModelUnavailable: mode cloud serves, and cannot be asked.
            BudgetSpent: the services asked would cost more than is left.
        """
        others = [name for name in dict.fromkeys(corpus_ids) if name != self.corpus_id]
        self._bounds.require(*others)
        if len(others) > MAX_CORPORA:
            raise InvalidInput(f"corpus_ids: at most {MAX_CORPORA} beside the first.", corpora=len(others))
        corpus = self._open()
        for one in (corpus, *(open_corpus(self._folder, name) for name in others)):
            _require_documents(one)
            one.store.evalsets.current(one.corpus_id)
            refuse_fields(one)
        check_measures(corpus.config.model_dump(mode="json"))
        if model_id is not None:
            require_model(corpus, model_id)
        pending = self._folder.store.jobs.pending(self.corpus_id, JobKind.TRAIN)
        params: dict[str, Any] = {"model_id": model_id} if model_id else {}
        if pending and not model_id:
            params["run_id"] = pending[-1].job_id
        if others:
            params["corpus_ids"] = others
        if arms:
            params["arms"] = [arm.model_dump() for arm in prepared(corpus, arms)]
        check_services(corpus, params)
        return self._submit(JobKind.EVALUATE, params)

    def submit_judge(self, *, queries: int | None = None, of: str | None = None) -> Job:
        """Queue a judging by the model that the settings of `judging` name.

        Args:
            queries: most queries of each kind, 1 to 10,000; None: 50.
            of: `people`: what people judged, to see whether the model agrees; `log`: frequent queries that nobody
                judged, to learn from; None: both.

        Raises:
            CorpusNotFound, NoDocuments, JudgeUnavailable.
            InvalidInput: no model is set or the settings do not go together, or no such queries.
        """
        corpus = self._open()
        _require_documents(corpus)
        check(corpus)
        if queries is not None and not 1 <= queries <= MAX_JUDGED:
            raise InvalidInput(f"queries: {queries} is not 1 to {MAX_JUDGED}.", field="queries")
        if of not in (None, PEOPLE, LOG):
            raise InvalidInput(f"of: {of!r} is neither people nor log.", field="of")
        params = {"queries": queries, "of": of}
        return self._submit(JobKind.JUDGE, {name: value for name, value in params.items() if value is not None})

    def judge(
        self, *, queries: int | None = None, of: str | None = None, on_event: Watch | None = None
    ) -> JudgingResult:
        """Let a model judge, wait, and return what it did, how well it agrees with people and what its labels count.

        Raises:
            As submit_judge. Failed: the job failed.
        """
        return self._finished(self.submit_judge(queries=queries, of=of), on_event, JudgingResult)

    def judge_labels(self, offset: int = 0, limit: int = 50) -> JudgeLabelPage:
        """What the model in force said, with reasons; how well it agrees with people; what its labels count for.

        Raises:
            CorpusNotFound.
        """
        corpus = self._open()
        rows, total = corpus.store.judge_labels.page(corpus.corpus_id, judge_in_force(corpus), offset, limit)
        shown = tuple(
            JudgeLabelRow(
                query=row.query,
                doc_id=row.doc_id,
                judge=row.judge,
                grade=row.grade,
                forward=row.forward,
                backward=row.backward,
                reason=row.reason,
                failure=row.failure,
                tokens=row.tokens,
                usd=row.usd,
                judged_at=time_at(row.judged_us),
            )
            for row in rows
        )
        return JudgeLabelPage(**dict(standing(corpus)), rows=shown, total=total)

    def mine(
        self,
        *,
        max_pairs: int | None = None,
        sources: Sequence[str] | None = None,
        on_event: Watch | None = None,
    ) -> MiningResult:
        """Mine triplets and wait; returns what was mined by source and rejected by reason.

        Raises:
            As submit_mine. Failed: the job failed.
        """
        return self._finished(self.submit_mine(max_pairs=max_pairs, sources=sources), on_event, MiningResult)

    def train(self, *, on_event: Watch | None = None, **hyperparameters: Any) -> TrainingResult:
        """Train a reranker and wait; returns run_id, model_id and metrics. Keywords are settings of `training`.

        Raises:
            As submit_train. Failed: the job failed.
        """
        return self._finished(self.submit_train(hyperparameters), on_event, TrainingResult)

    def evaluate(
        self,
        *,
        model_id: str | None = None,
        corpus_ids: Sequence[str] = (),
        arms: Sequence[Mapping[str, Any]] = (),
        on_event: Watch | None = None,
    ) -> EvaluationResult:
        """Measure before and after, promote if it won, and return the report. Arguments: see submit_evaluate.

        Raises:
            As submit_evaluate. Failed: the job failed.
        """
        job = self.submit_evaluate(model_id=model_id, corpus_ids=corpus_ids, arms=arms)
        return self._finished(job, on_event, EvaluationResult)

    def estimate(self, kind: JobKind, params: Mapping[str, object] = NO_PARAMS) -> CostEstimate:
        """What a job with these parameters will cost, before it runs: dollars, and seconds of this machine."""
        return estimate(self._open(), kind, params)

    def _submit(self, kind: JobKind, params: dict[str, Any]) -> Job:
        self._supervisor.ensure_worker()
        return jobs.submit(self._folder.store, kind, self.corpus_id, params)

    def _finished(self, job: Job, on_event: Watch | None, kind: type[_Result]) -> _Result:
        done = jobs.wait(self._folder.store, job.job_id, None, on_event)
        if isinstance(result := result_of(done), kind):
            return result
        problem = dict(done.problem or {})
        detail = str(problem.pop("detail", f"The job {job.job_id} ended as {done.state}."))
        if done.state is State.CANCELLED:
            raise Cancelled(detail, job_id=job.job_id)
        raise Failed(detail, job_id=job.job_id, problem=problem.get("code"))


def _check_base(config: TrainingConfig) -> None:
    """Refuse a base model that no training can start from. Waiting does not mend it, so this is no 503."""
    try:
        base = locate(config.base_model)
        if config.cross_encoder:
            trainable_as(base)
    except ModelUnavailable as error:
        told = error.detail.removeprefix("training.base_model: ")
        raise InvalidInput(f"base_model: {told}", field="base_model", **error.facts) from error


def _require_documents(corpus: OpenCorpus) -> None:
    # Documents that came with a rerank are stored at once, and indexed before the next mining.
    if corpus.index.count() == 0 and corpus.store.documents.count(corpus.corpus_id) == 0:
        raise NoDocuments(
            f"The corpus {corpus.corpus_id!r} has no indexed document. Add some with "
            f"POST /corpora/{corpus.corpus_id}/documents or `tribrid index`.",
            corpus_id=corpus.corpus_id,
        )


def _refuse_leakage(corpus: OpenCorpus, triplet_set_id: str) -> None:
    """As the training will, but at once however many triplets there are: loads them only to name what leaks.

    Raises:
        Leakage.
    """
    triplets, asked = corpus.store.triplets, eval_queries_of(corpus)
    matcher = QueryMatcher(query.text for query in asked)
    if asked and any(matcher.matches(text) for text in triplets.queries(triplet_set_id)):
        refuse_leakage(corpus, triplets.load(triplet_set_id))


def _require_labels(corpus: OpenCorpus, sources: Sequence[str]) -> None:
    store = corpus.store
    there = {
        "logs": store.logs.has_feedback(corpus.corpus_id),
        "judgments": store.judgments.counts(corpus.corpus_id)["judgments"] > 0,
        "judge": store.judge_labels.page(corpus.corpus_id, judge_in_force(corpus), 0, 1)[1] > 0,
        "heuristics": True,
    }
    if not any(there[source] for source in sources):
        raise NoTriplets(
            f"There is nothing to mine from {' or '.join(sources)} in {corpus.corpus_id!r}: send feedback or import "
            "logs, put judgments, let a model judge, or let the heuristics mine too.",
            corpus_id=corpus.corpus_id,
        )
