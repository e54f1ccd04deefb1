"""Tribrid: the object that the API, the command line and library users hold."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tribrid import __version__, pipeline
from tribrid.app.content import Content, check_text, quiet
from tribrid.app.doctor import diagnose
from tribrid.app.gauge import readiness
from tribrid.app.learning import Learning
from tribrid.app.logs import import_logs
from tribrid.app.registry import Registry
from tribrid.app.running import fallbacks_view, form_view, runtime_view
from tribrid.app.views import search_view
from tribrid.config import Config, Environment, child_environment, read_environment
from tribrid.corpus.jsonlines import id_fault
from tribrid.errors import InvalidInput, TribridError
from tribrid.jobs import Supervisor
from tribrid.scoring.budget import Budget
from tribrid.types import Emit, Signal
from tribrid.workspace import Workspace

MAX_TOP_K = 1000
MAX_QUERY_CHARS = 100_000
_BACKENDS = ("lancedb", "onnxruntime", "lightgbm", "dbos", "torch", "transformers", "ir-measures")


class Tribrid(Content, Learning, Registry):
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
            budget: tells when nobody waits for the answer any more; its clock is set here.

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
        found = pipeline.search(self.workspace, corpus_id, query, top_k, client_id, budget)
        documents = self.workspace.store.documents.get_many(corpus_id, [c.doc_id for c in found.shown])
        return search_view(found, documents)

    def feedback(
        self, query_id: str, signal: str, doc_id: str | None = None, value: float | None = None
    ) -> dict[str, Any]:
        """Log what a user did with a result.

        Args:
            signal: click, dwell (value: seconds), copy, cite, thumbs_up, thumbs_down, rating (value: 1 to 5).

        Raises:
            QueryNotFound, NotShown, InvalidInput.
        """
        if signal not in set(Signal):
            raise InvalidInput(f"signal: {signal!r} is not one of {[s.value for s in Signal]}.", signal=signal)
        _check_value(Signal(signal), value)
        done = pipeline.log(self.workspace, query_id, Signal(signal), doc_id, value)
        return {"ok": True, "query_id": done.query_id, "doc_id": done.doc_id, "signal": done.signal}

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
        """Who reranks, whether it is loaded, and why not.

        Raises:
            CorpusNotFound.
        """
        if corpus_id is not None:
            self.workspace.store.corpora.get(corpus_id)
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
        if scorer is None:
            return {**out, "reason": "no model has been promoted for this corpus yet; the fused order is served"}
        return {**out, "model_id": scorer.model_id, "loaded": True, "form": form_view(self.workspace, scorer)}

    def readiness(self, corpus_id: str) -> dict[str, Any]:
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
        self.workspace.embedder(self.workspace.config()).embed_query("warm")
        for row in self.workspace.store.corpora.list():
            self.status(row.corpus_id)

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
