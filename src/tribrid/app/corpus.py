"""A corpus as the library shows it: the verbs of the loop, and each of its subjects under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tribrid.answers.answer import time_at
from tribrid.answers.corpora import CorpusFacts, JudgmentCounts
from tribrid.answers.erasures import ErasureDone, ErasureRecord
from tribrid.answers.evaluations import EvaluationRow
from tribrid.answers.jobs import JobStatus, RunStatus
from tribrid.answers.models import ModelList, ModelNames
from tribrid.answers.readiness import Readiness
from tribrid.answers.search import Explanation, SearchAnswer, SideBySide
from tribrid.answers.settings import AllSettings
from tribrid.answers.status import RerankerStatus
from tribrid.answers.triplets import TripletPage
from tribrid.app.documents import Documents
from tribrid.app.erasure import erase, erasure_record
from tribrid.app.evalsets import EvalDatasets
from tribrid.app.evaluations import list_evaluations
from tribrid.app.experiments import Experiment
from tribrid.app.jobs import list_jobs, list_runs
from tribrid.app.judgments import Judgments, check_text
from tribrid.app.learning import Learning
from tribrid.app.logs import Logs
from tribrid.app.models import list_models, promote, rollback
from tribrid.app.parts import quiet
from tribrid.app.searched import MAX_TOP_K, check_page, counted, search_answer
from tribrid.app.settings import Overrides, patch_settings, settings
from tribrid.app.side_by_side import compare, explain
from tribrid.app.status import status
from tribrid.app.triplets import page_of_triplets
from tribrid.corpus.jsonlines import id_fault
from tribrid.encoders.budget import Budget
from tribrid.errors import InvalidInput
from tribrid.loop.readiness import readiness
from tribrid.loop.search import Asked, search
from tribrid.report.notebook import fields
from tribrid.types import JobKind
from tribrid.types.filters import read_filter

MAX_QUERY_CHARS = 100_000
_ALL = 1_000_000


class Corpus(Learning):
    """One corpus: `tribrid.corpus("handbook").search("leave")`. `mine`, `train` and `evaluate` are Learning's.

    It holds no state: whether there is such a corpus, its settings and its champion are looked up by each call, and
    each raises CorpusNotFound where there is none.
    """

    @cached_property
    def documents(self) -> Documents:
        """What is searched."""
        return Documents(self._folder, self._supervisor, self.corpus_id, self._bounds)

    @cached_property
    def logs(self) -> Logs:
        """What users saw and did."""
        return Logs(self._folder, self._supervisor, self.corpus_id, self._bounds)

    @cached_property
    def judgments(self) -> Judgments:
        """What judges said, to train from."""
        return Judgments(self._folder, self._supervisor, self.corpus_id, self._bounds)

    @cached_property
    def eval_dataset(self) -> EvalDatasets:
        """What before and after are measured on."""
        return EvalDatasets(self._folder, self._supervisor, self.corpus_id, self._bounds)

    @cached_property
    def experiment(self) -> Experiment:
        """Two models compared on live searches."""
        return Experiment(self._folder, self._supervisor, self.corpus_id, self._bounds)

    def describe(self) -> CorpusFacts:
        """How much it holds."""
        corpus = self._open_filtered()
        store = self._folder.store
        return CorpusFacts(
            corpus_id=self.corpus_id,
            name=corpus.name,
            version=corpus.version,
            created_at=time_at(corpus.created_us),
            documents=store.documents.count(self.corpus_id),
            passages=corpus.index.count(),
            judgments=JudgmentCounts(**store.judgments.counts(self.corpus_id)),
            champion=corpus.champion_id,
        )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return fields(self.describe())

    def delete(self) -> None:
        """Delete it with everything that belongs to it."""
        store = self._folder.store
        artifacts = [model.artifact for model in store.models.list(self.corpus_id)]
        runs = [job.job_id for job in store.jobs.list(self.corpus_id, JobKind.TRAIN, limit=_ALL)]
        store.corpora.delete(self.corpus_id)
        store.segments.remove_dropped()
        self._folder.forget_corpus(self.corpus_id, artifacts, runs)

    def search(
        self,
        query: str,
        top_k: int = 10,
        *,
        filter: Mapping[str, Any] | None = None,
        offset: int = 0,
        facets: Sequence[str] = (),
        per: str = "doc",
        client_id: str | None = None,
        budget: Budget | None = None,
    ) -> SearchAnswer:
        """Rank documents for a query; logged under the `query_id` that comes back.

        Args:
            filter: what alone is searched, by documents' metadata, such as `{"lang": "de", "year": {"$gte": 2020}}`.
            offset: results to leave out at the start.
            facets: fields of the metadata, of whose values it is counted how many documents have each, among those that
                the filter lets through.
            per: `doc`: each document once, by its best passage; `passage`: the best passages, several of a document
                among them. What is logged is each document, where it stands highest.
            client_id: tells this user's searches from others', so that one asked again in other words counts against
                what the first one showed.
            budget: tells when nobody waits for the answer any more; without a clock, it gets that of
                reranking.reranker_timeout_ms.

        Raises:
            Overloaded, Cancelled: the reranker did not begin.
            CorpusNotFound, InvalidInput: an empty or enormous query, top_k outside 1..1000, offset and top_k above that
                together, a filter that is none, too many facets, or a bad client_id.
        """
        self._check_search(query, top_k)
        check_page(offset, top_k, facets, per)
        fault = None if client_id is None else id_fault(client_id, "client_id")
        if fault:
            raise InvalidInput(f"{fault}.")
        corpus, wanted = self._open_filtered(), self._bounds.narrowed(read_filter(filter))
        found = search(corpus, Asked(query, top_k, offset, wanted, client_id, per == "passage"), budget)
        return search_answer(found, counted(corpus, wanted, facets))

    @staticmethod
    def _check_search(query: str, top_k: int) -> None:
        if not query.strip() or len(query) > MAX_QUERY_CHARS:
            raise InvalidInput(f"query: 1 to {MAX_QUERY_CHARS} characters, not only spaces.", length=len(query))
        check_text("query", query)
        if not 1 <= top_k <= MAX_TOP_K:
            raise InvalidInput(f"top_k: 1 to {MAX_TOP_K}.", top_k=top_k)

    def compare(self, query: str, systems: Sequence[str] = ("retrieval", "champion"), top_k: int = 10) -> SideBySide:
        """How several systems rank the same candidates, beside each other. Nothing is logged, and nothing is learned
        from it.

        Args:
            systems: `retrieval` (the first stage), `champion` (what serves now), or model_ids.

        Raises:
            CorpusNotFound, ModelNotFound, InvalidInput.
        """
        self._check_search(query, top_k)
        return compare(self._open(), query, systems, top_k)

    def explain(self, query: str, doc_id: str, model_id: str | None = None) -> Explanation:
        """Why a model ranks a document where it does for a query.

        Args:
            model_id: None for the champion.

        Raises:
            CorpusNotFound, ModelNotFound, ModelUnavailable, InvalidInput.
            NoModel: no trained model serves.
            DocumentNotFound: it is not among the candidates of the query.
        """
        self._check_search(query, 1)
        return explain(self._open(), query, doc_id, model_id)

    def readiness(self) -> Readiness:
        """Whether there is enough data to train a reranker and to see what came of it, within about two seconds."""
        return readiness(self._open())

    def status(self) -> RerankerStatus:
        """Who reranks, whether it is loaded, and why not; and how the experiment stands, null for none."""
        standing = self.experiment.get()  # first: it may promote
        return status(self._folder, self._open(), standing)

    def settings(self) -> AllSettings:
        """Every setting: its value, where it came from, its default and what it means."""
        self.require()
        return settings(self._folder, self.corpus_id)

    def patch_settings(self, overrides: Overrides) -> AllSettings:
        """Set overrides of this corpus, sparse; null takes one (or a whole section's) back.

        Raises:
            CorpusNotFound, UnknownSetting, InvalidInput.
        """
        self.require()
        return patch_settings(self._folder, overrides, self.corpus_id)

    def runs(self) -> list[RunStatus]:
        """Training runs, newest first."""
        return list_runs(self._open())

    def jobs(self) -> list[JobStatus]:
        """Its minings, trainings and evaluations, newest first, at most 100."""
        return list_jobs(self._open())

    def triplets(
        self, *, source: str | None = None, status: str | None = None, offset: int = 0, limit: int = 50
    ) -> TripletPage:
        """A page of the newest triplets, with source, weight, reason and status.

        Args:
            status: `review` for those whose negative may be relevant and that wait for somebody to decide; `active`,
                `accepted`, `flipped`, `dropped`; None for all.

        Raises:
            CorpusNotFound, NoTriplets, InvalidInput.
        """
        return page_of_triplets(self._open(), source=source, status=status, offset=offset, limit=limit)

    def models(self) -> ModelList:
        """Model versions, their aliases, and every promotion."""
        return list_models(self._open())

    def promote(self, model_id: str | None = None, reason: str = "", *, force: bool = False) -> ModelNames:
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
        return promote(self._open(), model_id, reason, force=force)

    def rollback(self, reason: str = "") -> ModelNames:
        """Serve what was served before the newest promotion that stands. Again: what was served before that one.

        Raises:
            CorpusNotFound.
            NoModel: there is nothing to go back to.
        """
        return rollback(self._open(), reason)

    def evaluations(self, limit: int = 100) -> list[EvaluationRow]:
        """Evaluations, newest first."""
        return list_evaluations(self._open(), limit)

    def erase(
        self,
        *,
        query_id: str | None = None,
        query: str | None = None,
        client_id: str | None = None,
        doc_id: str | None = None,
    ) -> ErasureDone:
        """Erase a search, a query whoever asked it, a user's events, or a document; and say which datasets and models
        had used it. Later runs cannot. Name exactly one.

        Raises:
            CorpusNotFound, InvalidInput, QueryNotFound, DocumentNotFound, NotFound.
        """
        wanted = {"query_id": query_id, "query": query, "client_id": client_id, "doc_id": doc_id}
        return erase(self._open(), wanted, quiet)

    def erasures(self) -> list[ErasureRecord]:
        """Every erasure, newest first: how much went and who had used it, never what it was."""
        self.require()
        return [erasure_record(done) for done in self._folder.store.erasures.list(self.corpus_id)]
