"""What GET /metrics counts, in Prometheus's words. One registry an app: two apps in a process do not share counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)


class Telemetry:
    """The app's counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "tribrid_http_requests",
            "Requests answered, by route template.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tribrid_http_request_seconds",
            "Time from a request's first byte to its answer's last, by route template.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._searches = Counter(
            "tribrid_searches",
            "Searches served, by whether a model reranked them.",
            ["reranked"],
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "tribrid_search_fallbacks",
            "Searches that a model should have reranked and did not, by why (the problem's code).",
            ["reason"],
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
        self._ready = Gauge("tribrid_ready", "1 when models are loaded and searches are fast.", registry=self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def searched(self, answer: Mapping[str, Any]) -> None:
        """Count one search by its answer (`reranked`, `fallback_code`, `note`)."""
        self._searches.labels(str(bool(answer["reranked"])).lower()).inc()
        if answer["fallback_code"] is not None:
            self._fallbacks.labels(answer["fallback_code"]).inc()
        if answer["note"] is not None:
            self._shortened.inc()

    def text(self, *, ready: bool, engine: Mapping[str, Any] | None = None) -> bytes:
        """All of it, as Prometheus reads it. `engine`: the reranker's, as it stands."""
        self._ready.set(ready)
        if engine is not None:
            self._waiting.set(engine["waiting_pairs"])
            for event in ("pairs", "batches", "merged_batches", "refused", "dropped_pairs"):
                self._engine.labels(event).set(engine[event])
        return generate_latest(self.registry)
