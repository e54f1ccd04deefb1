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
            "Searches that a model should have reranked and did not.",
            registry=self.registry,
        )
        self._ready = Gauge("tribrid_ready", "1 when models are loaded and searches are fast.", registry=self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def searched(self, answer: Mapping[str, Any]) -> None:
        """Count one search by its answer (`reranked`, `fallback_reason`)."""
        self._searches.labels(str(bool(answer["reranked"])).lower()).inc()
        if answer["fallback_reason"] is not None:
            self._fallbacks.inc()

    def text(self, *, ready: bool) -> bytes:
        """All of it, as Prometheus reads it."""
        self._ready.set(ready)
        return generate_latest(self.registry)
