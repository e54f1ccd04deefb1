"""What GET /metrics counts, in Prometheus's words. One registry an app: two apps in a process do not share counts.

Is it slow: request and stage histograms. Is it failing: answers by status, fallbacks by reason, jobs, readiness. Is it
helping: the rank at which users click, by the model that ordered the list; `retrieval` is the order without a model.
Every label is one of few: a route's template, an error's code, a stage, a model, a corpus.

A series whose labels are known is there from the start, at 0: PromQL's increase() sees no first event of a series that
begins with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

from tribrid.answers.health import Trouble
from tribrid.api.tracing import Tracing
from tribrid.app.health import Condition
from tribrid.app.retention import MOST_CORPORA, Gauges
from tribrid.errors import (
    BudgetSpent,
    Failed,
    MissingExtra,
    ModelNotFound,
    ModelUnavailable,
    OutOfTime,
    ScorerFailed,
    StaleIndex,
    Unavailable,
)
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.types import Impression, JobKind, State

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)
STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RANKS = (1, 2, 3, 5, 10, 20, 50, 100)
STAGES = ("retrieve", "read", "score", "log")
ENGINE_EVENTS = ("pairs", "batches", "merged_batches", "refused", "dropped_pairs")
FALLBACKS = (
    ScorerFailed,
    BudgetSpent,
    OutOfTime,
    Unavailable,
    MissingExtra,
    ModelUnavailable,
    ModelNotFound,
    StaleIndex,
    Failed,
)
"""Why a list is not reranked; any other error would be counted too, from its first time on."""
TROUBLES: tuple[str, ...] = get_args(Trouble.model_fields["what"].annotation)
SERVER_FAULTS = ("500", "503")
UNFINISHED = (State.QUEUED, State.RUNNING)


class Telemetry:
    """The app's counters, and its spans if it is traced. It is the `Watch` of every request."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.registry = registry = CollectorRegistry()
        self._tracing = tracing
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "tribrid_http_requests",
            "Requests answered, by route template.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tribrid_http_request_seconds",
            "Time from a request's first byte to its answer's last, by route template.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "tribrid_stage_seconds",
            "Time of the stages of a search: retrieve, read (the candidates' tokens), score, log.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._searches = Counter(
            "tribrid_searches",
            "Searches served, by whether a model reranked them, and which.",
            ["reranked", "model_id"],
            registry=registry,
        )
        self._fallbacks = Counter(
            "tribrid_search_fallbacks",
            "Searches that a model should have reranked and did not, by the code of the error.",
            ["reason"],
            registry=registry,
        )
        self._clicked = Histogram(
            "tribrid_clicked_rank",
            "Rank of a clicked document in the list that was served, by the model that ordered it.",
            ["model_id"],
            buckets=RANKS,
            registry=registry,
        )
        self._add_gauges()
        self._begin()

    def _add_gauges(self) -> None:
        self._ready = Gauge(
            "tribrid_ready", "1 when models are loaded and GET /ready has no trouble to tell.", registry=self.registry
        )
        self._troubles = Gauge(
            "tribrid_troubles", "What GET /ready says does not work as it should.", ["what"], registry=self.registry
        )
        self._searchable = Gauge(
            "tribrid_corpus_searchable", "1 when the corpus can be searched.", ["corpus_id"], registry=self.registry
        )
        self._unlogged = Counter(
            "tribrid_search_unlogged",
            "Searches and reranks that were answered and could not be logged.",
            registry=self.registry,
        )
        self._store_up = Gauge("tribrid_store_up", "1 when the database answers.", registry=self.registry)
        self._jobs = Gauge("tribrid_jobs", "Jobs that wait or run.", ["kind", "state"], registry=self.registry)
        self._serving = Gauge(
            "tribrid_model_info",
            "1 for the model that serves a corpus.",
            ["corpus_id", "model_id"],
            registry=self.registry,
        )
        self._waiting = Gauge(
            "tribrid_reranker_waiting_pairs", "Pairs that wait for a cross-encoder.", registry=self.registry
        )
        self._engine = Gauge(
            "tribrid_reranker_engine",
            "Since the process started: pairs and batches that cross-encoders ran, requests refused, pairs dropped.",
            ["event"],
            registry=self.registry,
        )
        self._shortened = Counter(
            "tribrid_search_shortened",
            "Searches whose reranker had no time for all candidates.",
            registry=self.registry,
        )

    def _begin(self) -> None:
        for reason in FALLBACKS:
            self._fallbacks.labels(reason.code)
        for name in STAGES:
            self._stages.labels(name)
        for event in ENGINE_EVENTS:
            self._engine.labels(event)
        for what in TROUBLES:
            self._troubles.labels(what)
        self._searches.labels("false", RETRIEVAL)
        self._clicked.labels(RETRIEVAL)

    def routes(self, known: Iterable[tuple[str, str]]) -> None:
        """Begin to count these routes' answers that are the server's fault: (method, template)."""
        for method, route in known:
            for status in SERVER_FAULTS:
                self._requests.labels(method, route, status)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def searched(self, reranked: bool, model_id: str | None, note: str | None) -> None:
        """Count one search or rerank by its answer; `Watch.note` counts its fallback."""
        self._searches.labels(str(reranked).lower(), str(model_id)).inc()
        self._clicked.labels(str(model_id))  # its first click comes after it
        if note is not None:
            self._shortened.inc()

    def clicked(self, impression: Impression, doc_id: str) -> None:
        """Count one click by where it was and who had put it there. A list that fell back says nothing of a model."""
        rank = next((shown.rank for shown in impression.shown if shown.doc_id == doc_id), None)
        if rank is not None and impression.fallback_reason is None:
            self._clicked.labels(impression.model_id).observe(rank)

    def request(self, scope: Scope) -> AbstractContextManager[None]:
        """Around a request: its span, if there are spans."""
        return nullcontext() if self._tracing is None else self._tracing.request(scope)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See Watch."""
        started = time.perf_counter()
        try:
            with nullcontext() if self._tracing is None else self._tracing.stage(name):
                yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - started)

    def note(self, name: str, value: str) -> None:
        """See Watch."""
        if name == "fallback":
            self._fallbacks.labels(value).inc()
        elif name == "unlogged":
            self._unlogged.inc()

    def text(
        self,
        *,
        ready: bool,
        seen: Gauges | None = None,
        engine: Mapping[str, Any] | None = None,
        condition: Condition | None = None,
    ) -> bytes:
        """All of it, as Prometheus reads it.

        Args:
            seen: what is stored; None: the database does not answer.
            engine: the reranker's, as it stands.
            condition: what GET /ready says.
        """
        if condition is not None:
            self._set_condition(condition)
        self._ready.set(ready)
        self._store_up.set(seen is not None)
        self._jobs.clear()
        self._serving.clear()
        if seen is not None:
            self._set_stored(seen)
        if engine is not None:
            self._waiting.set(engine["waiting_pairs"])
            for event in ENGINE_EVENTS:
                self._engine.labels(event).set(engine[event])
        return generate_latest(self.registry)

    def _set_stored(self, seen: Gauges) -> None:
        for kind in JobKind:
            for state in UNFINISHED:
                self._jobs.labels(kind, state).set(seen.jobs.get((kind, state), 0))
        for corpus_id, model_id in seen.champions.items():
            self._serving.labels(corpus_id, model_id).set(1)
            self._searches.labels("true", model_id)
            self._clicked.labels(model_id)

    def _set_condition(self, condition: Condition) -> None:
        self._searchable.clear()
        for corpus_id, searchable in list(condition.searchable.items())[:MOST_CORPORA]:
            self._searchable.labels(corpus_id).set(searchable)
        for what in TROUBLES:
            self._troubles.labels(what).set(sum(trouble.what == what for trouble in condition.troubles))
