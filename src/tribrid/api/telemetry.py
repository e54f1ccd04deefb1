"""What GET /metrics counts, in Prometheus's words. One registry an app: two apps in a process do not share counts.

Is it slow: request and stage histograms. Is it failing: answers by status, fallbacks by reason, jobs, readiness. Is it
helping: the rank at which users click, by the model that ordered the list; `retrieval` is the order without a model.
Every label is one of few: a route's template, an error's code, a stage, a model, a corpus.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

from tribrid.api.tracing import Tracing
from tribrid.app.retention import Gauges
from tribrid.types import Impression

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)
STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RANKS = (1, 2, 3, 5, 10, 20, 50, 100)


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

    def _add_gauges(self) -> None:
        self._ready = Gauge("tribrid_ready", "1 when models are loaded and searches are fast.", registry=self.registry)
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

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def searched(self, reranked: bool, model_id: str | None, note: str | None) -> None:
        """Count one search or rerank by its answer; `Watch.note` counts its fallback."""
        self._searches.labels(str(reranked).lower(), str(model_id)).inc()
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

    def text(self, *, ready: bool, seen: Gauges | None = None, engine: Mapping[str, Any] | None = None) -> bytes:
        """All of it, as Prometheus reads it.

        Args:
            seen: what is stored; None: the database does not answer.
            engine: the reranker's, as it stands.
        """
        self._ready.set(ready)
        self._store_up.set(seen is not None)
        self._jobs.clear()
        self._serving.clear()
        for (kind, state), count in (seen.jobs if seen else {}).items():
            self._jobs.labels(kind, state).set(count)
        for corpus_id, model_id in (seen.champions if seen else {}).items():
            self._serving.labels(corpus_id, model_id).set(1)
        if engine is not None:
            self._waiting.set(engine["waiting_pairs"])
            for event in ("pairs", "batches", "merged_batches", "refused", "dropped_pairs"):
                self._engine.labels(event).set(engine[event])
        return generate_latest(self.registry)
