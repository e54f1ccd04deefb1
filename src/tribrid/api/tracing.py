"""OpenTelemetry spans, for who asks for them (TRIBRID_TRACING=1, extra `otel`): one a request, one a stage of a search.

The only file that knows OpenTelemetry, and it is imported when it is asked for. Where spans go is said by
OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT. A span has no query, no document and no URL in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from tribrid.errors import MissingExtra
from tribrid.version import __version__

SERVICE = "tribrid"


class Tracing:
    """Spans of one provider."""

    def __init__(self, provider: Any) -> None:
        """Take an OpenTelemetry TracerProvider."""
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._tracer = provider.get_tracer(SERVICE, __version__)
        self._parents = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[None]:
        """The span of a request, a child of the caller's (`traceparent`) if it names one."""
        parent = self._parents.extract(dict(Headers(scope=scope)))
        kind = self._trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(
            scope["method"], context=parent, kind=kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            finally:
                # Known only now: routing takes place inside.
                route = getattr(scope.get("route"), "path", None)
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("tribrid.request_id", scope["state"]["request_id"])
                if route is not None:
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The span of a stage. Of what goes wrong in it, its kind alone: messages may quote what was searched for."""
        with self._tracer.start_as_current_span(
            f"search.{name}", record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(self._trace.StatusCode.ERROR)
                raise


def tracing(wanted: bool) -> Tracing | None:
    """Spans that are sent by OTLP over HTTP; None where nobody wants any.

    Raises:
        MissingExtra: OpenTelemetry is not installed.
    """
    if not wanted:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise MissingExtra("opentelemetry-sdk", "otel", "Tracing") from error
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
