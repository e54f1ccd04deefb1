"""Tribrid: the object that the API, the command line and library users hold."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tribrid import __version__
from tribrid.answers.readiness import Readiness
from tribrid.app import access, retention
from tribrid.app.content import Content, check_text, quiet
from tribrid.app.doctor import diagnose
from tribrid.app.erasure import erase, erasure_view
from tribrid.app.evalsets import EvalDatasets
from tribrid.app.experiments import Experiments
from tribrid.app.learning import Learning
from tribrid.app.registry import Registry
from tribrid.app.reports import Reports
from tribrid.app.rerank import UNLOGGED, Reranking
from tribrid.app.running import fallbacks_view, form_view, runtime_view
from tribrid.app.views import iso, search_view
from tribrid.config import Config, Environment, child_environment, read_environment
from tribrid.corpus.jsonlines import id_fault
from tribrid.encoders.budget import Budget
from tribrid.errors import InvalidInput, NotShown, QueryNotFound, TribridError
from tribrid.jobs import Supervisor
from tribrid.logs.importing import import_logs
from tribrid.loop import search
from tribrid.loop.readiness import readiness
from tribrid.types import Emit, Signal
from tribrid.workspace import Workspace

MAX_TOP_K = 1000
MAX_QUERY_CHARS = 100_000
_BACKENDS = ("lancedb", "onnxruntime", "lightgbm", "dbos", "torch", "transformers", "ir-measures")


class Tribrid(Content, EvalDatasets, Experiments, Learning, Reports, Registry, Reranking):
    """The whole loop on one data folder. Safe for threads; close it, or use it in a `with`."""

    def __init__(self, data_dir: str | Path | None = None, *, environment: Environment | None = None) -> None:
        """Open a data folder (default: TRIBRID_DATA_DIR, else ~/.tribrid), making it if there is none.

        Raises:
            Unavailable: it cannot be opened. InvalidInput: the environment holds a wrong value.
        """
        self.environment = environment or read_environment()
        if data_dir is not None:
            folder = Path(data_dir).expanduser().resolve()
            self.environment = self.environment.model_copy(update={"data_dir": folder})
        self.workspace = Workspace(self.environment)
        self.supervisor = Supervisor(self.environment.data_dir, child_environment(self.environment))

    @property
    def store(self) -> Any:
        """The store, for those who need more than the verbs."""
        return self.workspace.store

    def close(self) -> None:
        """Stop the worker this object started, and close the store. A job under way goes on with the next worker."""
        self.supervisor.stop()
        self.workspace.close()

    def __enter__(self) -> Tribrid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(
        self,
        corpus_id: str,
        query: str,
        top_k: int = 10,
        *,
        client_id: str | None = None,
        budget: Budget | None = None,
    ) -> dict[str, Any]:
        """Rank documents for a query; logged under the `query_id` that comes back.

        Args:
            client_id: tells this user's searches from others', so that one asked again in other words counts against
                what the first one showed.
            budget: tells when nobody waits for the answer any more; without a clock, it gets that of
                reranking.reranker_timeout_ms.

        Raises:
            Overloaded, Cancelled: the reranker did not begin.
            CorpusNotFound, InvalidInput: an empty or enormous query, top_k outside 1..1000, or a bad client_id.
        """
        self.workspace.store.corpora.get(corpus_id)
        if not query.strip() or len(query) > MAX_QUERY_CHARS:
            raise InvalidInput(f"query: 1 to {MAX_QUERY_CHARS} characters, not only spaces.", length=len(query))
        check_text("query", query)
        if not 1 <= top_k <= MAX_TOP_K:
            raise InvalidInput(f"top_k: 1 to {MAX_TOP_K}.", top_k=top_k)
        fault = None if client_id is None else id_fault(client_id, "client_id")
        if fault:
            raise InvalidInput(f"{fault}.")
        found = search.search(self.workspace, corpus_id, query, top_k, client_id, budget)
        documents = self.workspace.store.documents.get_many(corpus_id, [c.doc_id for c in found.shown])
        return search_view(found, documents)

    def feedback(
        self,
        query_id: str,
        signal: str,
        doc_id: str | None = None,
        value: float | None = None,
        *,
        index: int | None = None,
    ) -> dict[str, Any]:
        """Log what a user did with a result.

        Args:
            query_id: of a search, or the `id` of a rerank.
            index: of a rerank, the document's place in the request, from 0, instead of its doc_id.
            signal: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating (value: 1 to 5).

        Raises:
            QueryNotFound, NotShown, InvalidInput.
        """
        if signal not in set(Signal):
            raise InvalidInput(f"signal: {signal!r} is not one of {[s.value for s in Signal]}.", signal=signal)
        _check_value(Signal(signal), value)
        if query_id.startswith(UNLOGGED):
            raise QueryNotFound(
                f"The answer {query_id!r} named no corpus, so nothing of it was kept. Name one in the rerank (as its "
                "model, or as corpus_id), or set reranking.rerank_corpus.",
                query_id=query_id,
            )
        if index is not None:
            doc_id = self._given(query_id, index, doc_id)
        done = search.log(self.workspace, query_id, Signal(signal), doc_id, value)
        return {"ok": True, "query_id": done.query_id, "doc_id": done.doc_id, "signal": done.signal}

    def _given(self, query_id: str, index: int, doc_id: str | None) -> str:
        """The document at this place of a rerank's request."""
        given = self.workspace.store.logs.impression(query_id).given
        if given is None or not 0 <= index < len(given):
            count = "it was no rerank" if given is None else f"{len(given)} documents were given"
            raise NotShown(f"index: there is no document {index} in {query_id!r}: {count}.", query_id=query_id)
        if doc_id not in (None, given[index]):
            raise InvalidInput(f"index {index} is document {given[index]!r}, not {doc_id!r}. Send one of the two.")
        return given[index]

    def import_logs(
        self, corpus_id: str, stream: Iterable[bytes], format: str = "native", *, emit: Emit = quiet
    ) -> dict[str, Any]:
        """Import a search log: `ubi` (OpenSearch UBI 1.3), `native`, or `clicks` (query, document, time).

        Raises:
            CorpusNotFound, InvalidInput: another format, or nothing joins: then nothing is stored.
            NoDocuments: `clicks` for an empty corpus.
        """
        return import_logs(self.workspace, corpus_id, stream, format, emit)

    def log_stats(self, corpus_id: str) -> dict[str, Any]:
        """Impressions and feedback of a corpus.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        return {"corpus_id": corpus_id, **self.workspace.store.logs.stats(corpus_id)}

    def status(self, corpus_id: str | None = None) -> dict[str, Any]:
        """Who reranks, whether it is loaded, and why not; and how the corpus's experiment stands, null for none.

        Raises:
            CorpusNotFound.
        """
        if corpus_id is not None:
            self.workspace.store.corpora.get(corpus_id)
        standing = None if corpus_id is None else self.experiment(corpus_id)  # first: it may promote
        return {**self._serving(corpus_id), "experiment": standing}

    def _serving(self, corpus_id: str | None) -> dict[str, Any]:
        config = self.workspace.config(corpus_id)
        mode = config.reranking.reranker_mode
        out: dict[str, Any] = {"corpus_id": corpus_id, "mode": mode, "model_id": None, "loaded": False, "reason": None}
        out |= {"fallbacks": fallbacks_view(self.workspace, corpus_id)}
        if mode == "none":
            return {**out, "reason": "mode none serves the fused order"}
        if corpus_id is None and mode == "learning":
            champions = {
                row.corpus_id: self.workspace.store.models.alias(row.corpus_id, "champion")
                for row in self.workspace.store.corpora.list()
            }
            return {**out, "champions": champions, "reason": "models are per corpus: ask with ?corpus_id="}
        try:
            scorer = self.workspace.scorer(corpus_id or "", config)
        except TribridError as error:
            return {**out, "reason": error.detail, "problem": error.code}
        if mode == "cloud":
            return {
                **out,
                **self._cloud_status(corpus_id or "", config),
                "model_id": scorer.model_id if scorer else None,
            }
        if scorer is None:
            return {**out, "reason": "no model has been promoted for this corpus yet; the fused order is served"}
        return {**out, "model_id": scorer.model_id, "loaded": True, "form": form_view(self.workspace, scorer)}

    def _cloud_status(self, corpus_id: str, config: Config) -> dict[str, Any]:
        """Whom mode cloud asks, and why it would not; nothing is sent."""
        found = self.workspace.clouds.status(corpus_id, config.reranking, self.workspace.config().reranking)
        failure, spent = found["last_failure"], [b for b in found["budgets"] if b["left_usd"] <= 0]
        if failure is not None:
            found["last_failure"] = {"at": iso(failure["at_us"]), "detail": failure["detail"]}
        reason = found["pause"]["why"] if found["pause"] else None
        if spent:
            reason = f"the budget of ${spent[0]['usd']:g} ({spent[0]['period']}) is spent; the fused order is served"
        return {"loaded": True, "reason": reason, "cloud": found}

    def erase(
        self,
        corpus_id: str,
        *,
        query_id: str | None = None,
        query: str | None = None,
        client_id: str | None = None,
        doc_id: str | None = None,
    ) -> dict[str, Any]:
        """Erase a search, a query whoever asked it, a user's events, or a document; and say which datasets and models
        had used it. Later runs cannot. Name exactly one.

        Raises:
            CorpusNotFound, InvalidInput, QueryNotFound, DocumentNotFound, NotFound.
        """
        wanted = {"query_id": query_id, "query": query, "client_id": client_id, "doc_id": doc_id}
        return erase(self.workspace, corpus_id, wanted, quiet)

    def erasures(self, corpus_id: str) -> list[dict[str, Any]]:
        """Every erasure of the corpus, newest first: how much went and who had used it, never what it was.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        return [erasure_view(done) for done in self.workspace.store.erasures.list(corpus_id)]

    def readiness(self, corpus_id: str) -> Readiness:
        """Whether there is enough data to train a reranker and to see what came of it, within about two seconds.

        Raises:
            CorpusNotFound.
        """
        return readiness(self.workspace, corpus_id)

    def info(self) -> dict[str, Any]:
        """Implementation details: versions, limits, and every hyperparameter with default and bounds."""
        schema = Config.model_json_schema()["$defs"]
        return {
            "name": "tribrid",
            "version": __version__,
            "python": platform.python_version(),
            "backends": {name: _installed(name) for name in _BACKENDS},
            "modes": ["none", "local", "learning", "cloud"],
            "cloud": self.workspace.clouds.info(),
            "model": "blend of first-stage scores, token interaction, lexical and memory features (linear model and "
            "LambdaMART), with a cross-encoder where it helps on held-out queries",
            "runtime": runtime_view(self.workspace),
            "limits": {"top_k": MAX_TOP_K, "query_chars": MAX_QUERY_CHARS},
            "hyperparameters": schema["TrainingConfig"]["properties"],
            "mining": schema["MiningConfig"]["properties"],
            "reranking": schema["RerankingConfig"]["properties"],
        }

    def warm(self) -> None:
        """Load what the first search would otherwise wait for: the encoder (exported now if it never was) and the
        champions.

        Raises:
            ModelUnavailable, MissingExtra: the encoder cannot be had.
        """
        config = self.workspace.config()
        self.workspace.embedder(config).embed_query("warm")
        if config.reranking.reranker_local_model is not None:  # a rerank without a corpus is answered by it
            with suppress(TribridError):  # the first call says why
                self.workspace.local(config.reranking.reranker_local_model, config)
        for row in self.workspace.store.corpora.list():
            self.status(row.corpus_id)

    def access_rules(self) -> access.AccessRules:
        """Who may call a server on this data folder, and how often."""
        return access.rules(self.workspace)

    def create_key(self, name: str, scopes: Sequence[str]) -> dict[str, Any]:
        """A new API key; its `key` is told here and never again.

        Args:
            scopes: of search, feedback, train, metrics, admin.

        Raises:
            InvalidInput: no scope, an unknown one, or a name that is too long.
        """
        return access.create(self.workspace, name, scopes)

    def keys(self) -> list[dict[str, Any]]:
        """Every API key there ever was, oldest first, without its secret."""
        return [access.view(key) for key in self.workspace.store.access.list()]

    def revoke_key(self, key_id: str) -> dict[str, Any]:
        """End an API key; a running server refuses it within a second or two.

        Raises:
            KeyNotFound.
        """
        return access.view(self.workspace.store.access.revoke(key_id))

    def prune_logs(
        self, corpus_id: str | None = None, *, days: int | None = None, emit: Emit = quiet
    ) -> dict[str, Any]:
        """Delete searches older than the setting logs.retention_days, or than `days`, with their feedback.

        Args:
            corpus_id: of this corpus; None: of all.

        Raises:
            CorpusNotFound. InvalidInput: days is not 1 or more.
        """
        return retention.prune_logs(self.workspace, corpus_id, days, emit)

    def gauges(self) -> dict[str, Any]:
        """What GET /metrics shows of the stored state: jobs that wait or run, and which model serves."""
        return retention.gauges(self.workspace)

    def doctor(self) -> list[dict[str, Any]]:
        """What works on this machine, found out by doing it."""
        return diagnose(self.workspace, self.supervisor)


def _check_value(signal: Signal, value: float | None) -> None:
    if signal is Signal.RATING and (value is None or not 1 <= value <= 5):
        raise InvalidInput("value: a rating is 1 to 5.", signal=signal)
    if signal is Signal.DWELL and (value is None or not 0 <= value < 1e7):
        raise InvalidInput("value: a dwell is its seconds, 0 or more.", signal=signal)
    if value is not None and not abs(value) < 1e9:
        raise InvalidInput("value: must be a number.", signal=signal)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
