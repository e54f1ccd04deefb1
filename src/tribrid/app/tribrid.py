"""Tribrid: the object that the API, the command line and library users hold."""

from __future__ import annotations

import platform
from collections.abc import Collection
from contextlib import suppress
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tribrid.answers.backup import BackupFacts
from tribrid.answers.logs import PrunedLogs
from tribrid.answers.search import FeedbackAnswer
from tribrid.answers.settings import AllSettings
from tribrid.answers.status import CloudFacts, DoctorCheck, RequestLimits, RerankerInfo, RerankerStatus
from tribrid.answers.triplets import ReviewedTriplet
from tribrid.app import health, retention
from tribrid.app.backup import back_up
from tribrid.app.bounds import Bounds
from tribrid.app.corpus import MAX_QUERY_CHARS, Corpus
from tribrid.app.doctor import diagnose
from tribrid.app.evaluations import Evaluations
from tribrid.app.feedback import feedback
from tribrid.app.jobs import Jobs, Runs
from tribrid.app.keys import AccessRules, Keys, rules
from tribrid.app.models import Models
from tribrid.app.parts import quiet
from tribrid.app.rerank import Reranking
from tribrid.app.searched import MAX_TOP_K
from tribrid.app.settings import Overrides, patch_settings, settings
from tribrid.app.status import runtime, status
from tribrid.app.triplets import review
from tribrid.config import Config, Environment, child_environment, read_environment
from tribrid.errors import TribridError
from tribrid.jobs import Supervisor
from tribrid.retrieval import lance
from tribrid.store import Store
from tribrid.types import Emit
from tribrid.types.filters import Filter
from tribrid.version import __version__
from tribrid.workspace.data_folder import DataFolder

_BACKENDS = ("pylance", "onnxruntime", "lightgbm", "torch", "transformers", "ir-measures")


class Tribrid(Reranking):
    """The whole loop on one data folder. Safe for threads; close it, or use it in a `with`.

    `corpus(corpus_id)` has the verbs of one corpus. What has an id of its own, whatever corpus it is of, is under
    `jobs`, `runs`, `models`, `evaluations` and `keys`.
    """

    def __init__(self, data_dir: str | Path | None = None, *, environment: Environment | None = None) -> None:
        """Open a data folder (default: TRIBRID_DATA_DIR, else ~/.tribrid), making it if there is none.

        Raises:
            Unavailable: it cannot be opened. InvalidInput: the environment holds a wrong value.
        """
        self.environment = environment or read_environment()
        if data_dir is not None:
            folder = Path(data_dir).expanduser().resolve()
            self.environment = self.environment.model_copy(update={"data_dir": folder})
        self.folder = DataFolder(self.environment)
        self.supervisor = Supervisor(self.environment.data_dir, child_environment(self.environment))
        super().__init__(self.folder, self.supervisor)

    def bound_to(self, corpora: Collection[str] | None = None, pinned: Filter | None = None) -> Tribrid:
        """The same library for somebody who may name these corpora alone, and shall not hear of others.

        It shares what is open: close this one and not that.

        Args:
            corpora: None: all.
            pinned: what alone may be found in them: added to every search, and what cannot be filtered is refused.
        """
        seen = Tribrid.__new__(Tribrid)
        seen.environment, seen.folder, seen.supervisor = self.environment, self.folder, self.supervisor
        bounds = Bounds(None if corpora is None else frozenset(corpora), pinned)
        Reranking.__init__(seen, self.folder, self.supervisor, bounds)
        return seen

    @property
    def store(self) -> Store:
        """The store, for those who need more than the verbs."""
        return self.folder.store

    def close(self) -> None:
        """Stop the worker this object started, and close the store. A job under way goes on with the next worker."""
        self.supervisor.stop()
        self.folder.close()

    def __enter__(self) -> Tribrid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def jobs(self) -> Jobs:
        """Every job, by its id."""
        return Jobs(self.folder, self.supervisor, self._bounds)

    @cached_property
    def runs(self) -> Runs:
        """Training runs, by their id."""
        return Runs(self.folder, self.supervisor, self._bounds)

    @cached_property
    def models(self) -> Models:
        """Model versions, by their id."""
        return Models(self.folder, self.supervisor, self._bounds)

    @cached_property
    def evaluations(self) -> Evaluations:
        """Evaluations, by their id."""
        return Evaluations(self.folder, self.supervisor, self._bounds)

    @cached_property
    def keys(self) -> Keys:
        """API keys."""
        return Keys(self.folder, self.supervisor)

    def corpus(self, corpus_id: str) -> Corpus:
        """A corpus. Nothing is looked up yet: its methods raise CorpusNotFound where there is none.

        Raises:
            Forbidden: of `bound_to`, for any other.
        """
        return Corpus(self.folder, self.supervisor, corpus_id, self._bounds)

    def create_corpus(self, corpus_id: str, name: str = "") -> Corpus:
        """Make an empty corpus. Ids are [A-Za-z0-9][A-Za-z0-9._-]{0,63}.

        Raises:
            CorpusExists, InvalidInput.
        """
        self.store.corpora.create(corpus_id, name)
        return self.corpus(corpus_id)

    def corpora(self) -> list[Corpus]:
        """Every corpus, by id."""
        return [self.corpus(row.corpus_id) for row in self._corpora()]

    def feedback(
        self,
        query_id: str,
        signal: str,
        doc_id: str | None = None,
        value: float | None = None,
        *,
        index: int | None = None,
    ) -> FeedbackAnswer:
        """Log what a user did with a result.

        Args:
            query_id: of a search, or the `id` of a rerank.
            index: of a rerank, the document's place in the request, from 0, instead of its doc_id.
            signal: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating (value: 1 to 5).

        Raises:
            QueryNotFound, NotShown, InvalidInput.
        """
        return feedback(self.folder, query_id, signal, doc_id, value, index, self._bounds)

    def review(self, triplet_id: str, decision: str) -> ReviewedTriplet:
        """Decide on a triplet, whose negative may be relevant; the triplet as it stands then.

        It holds at once for the mined set and for every later mining; a new decision takes the place of the old.

        Args:
            decision: `accept`: a true negative, to be trained on; `flip`: a positive of the query; `drop`: neither.

        Raises:
            TripletNotFound, InvalidInput.
            Conflict: the same document was decided otherwise for the same query.
        """
        return review(self.folder, triplet_id, decision, self._bounds.corpora)

    def settings(self) -> AllSettings:
        """Every setting where no corpus says otherwise: its value, where it came from, its default, what it means."""
        return settings(self.folder, None)

    def patch_settings(self, overrides: Overrides) -> AllSettings:
        """Set overrides for every corpus, sparse; null takes one (or a whole section's) back.

        Raises:
            UnknownSetting, InvalidInput.
        """
        return patch_settings(self.folder, overrides, None)

    def status(self) -> RerankerStatus:
        """Who reranks where no corpus says otherwise, whether it is loaded, and why not.

        Raises:
            Forbidden: of `bound_to`: it tells of every corpus.
        """
        self._bounds.require_none("what serves elsewhere")
        return status(self.folder, None)

    def info(self) -> RerankerInfo:
        """Implementation details: versions, limits, and every hyperparameter with default and bounds."""
        schema = Config.model_json_schema()["$defs"]
        return RerankerInfo(
            name="tribrid",
            version=__version__,
            python=platform.python_version(),
            backends={name: _installed(name) for name in _BACKENDS},
            modes=("none", "local", "learning", "cloud"),
            cloud=CloudFacts.model_validate(self.folder.clouds.info()),
            model="blend of first-stage scores, token interaction, lexical and memory features (linear model and "
            "LambdaMART), with a cross-encoder where it helps on held-out queries",
            runtime=runtime(self.folder, self._bounds),
            limits=RequestLimits(top_k=MAX_TOP_K, query_chars=MAX_QUERY_CHARS),
            hyperparameters=schema["TrainingConfig"]["properties"],
            mining=schema["MiningConfig"]["properties"],
            reranking=schema["RerankingConfig"]["properties"],
        )

    def warm(self) -> None:
        """Load what the first search would otherwise wait for: Lance, the encoder (exported now if it never was) and
        the champions.

        Raises:
            ModelUnavailable, MissingExtra: the encoder cannot be had.
        """
        lance.load()
        config = self.folder.config()
        self.folder.embedder(config).embed_query("warm")
        if config.reranking.reranker_local_model is not None:  # a rerank without a corpus is answered by it
            with suppress(TribridError):  # the first call says why
                self.folder.local(config.reranking.reranker_local_model, config)
        for corpus in self.corpora():
            corpus.status()

    def access_rules(self) -> AccessRules:
        """Who may call a server on this data folder, and how often."""
        return rules(self.folder)

    def prune_logs(self, *, days: int | None = None, emit: Emit = quiet) -> PrunedLogs:
        """Delete searches older than the setting logs.retention_days, or than `days`, with their feedback, everywhere.

        Raises:
            InvalidInput: days is not 1 or more.
        """
        return retention.prune_logs(self.folder, None, days, emit)

    def backup(self, file: str | Path, *, with_index: bool = False, emit: Emit = quiet) -> BackupFacts:
        """Write all that is stored into a new file, the owner's alone, while this folder is used. `tribrid restore`
        brings it back, into SQLite or PostgreSQL.

        Args:
            with_index: also the indexes, which can be made again from the documents, at the price of embedding them.

        Raises:
            Conflict: there is a file already.
        """
        return back_up(self.folder, Path(file), with_index=with_index, emit=emit)

    def gauges(self) -> retention.Gauges:
        """What GET /metrics shows of the stored state: jobs that wait or run, and which model serves."""
        return retention.gauges(self.folder)

    def condition(self) -> health.Condition:
        """What GET /ready says: what is wrong now, and which corpora can be searched."""
        return health.condition(self.folder)

    def finish_uploads(self) -> None:
        """Index what is stored and in no index, because its upload broke off."""
        health.finish_uploads(self.folder)

    def doctor(self) -> list[DoctorCheck]:
        """What works on this machine, found out by doing it."""
        return diagnose(self.folder, self.supervisor)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
