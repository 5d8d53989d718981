"""Spans to an OpenTelemetry collector, when one is configured; nothing otherwise.

Ids are made by whoever starts the work (`ecap.mesh.trace`), so that requests carry
them whether or not anybody collects spans. The SDK is imported only to export: in
the path of a request its spans would cost more than the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["server", "client", "producer", "consumer", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Times are nanoseconds of the epoch; `parent_id` is empty at the root."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    error: str | None = None


class _Export:
    """Batches over OTLP/HTTP in a thread of the SDK's; drops spans it cannot deliver."""

    def __init__(self, endpoint: str, *, service: str, ratio: float) -> None:
        # Imported here and nowhere else: 120 ms that only exporters should pay.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._resource = Resource.create({"service.namespace": "ecap", "service.name": service})
        self._scope = InstrumentationScope("ecap")
        url = endpoint.rstrip("/") + "/v1/traces"
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))
        self.sample(ratio)

    def sample(self, ratio: float) -> None:
        # As OpenTelemetry's TraceIdRatioBased: every service keeps the same traces.
        self._below = round(ratio * 2**64)

    def add(self, span: Span) -> None:
        if int(span.trace_id[16:], 16) >= self._below:
            return
        self._processor.on_end(self._readable(span))

    def _readable(self, span: Span) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        flags = TraceFlags(TraceFlags.SAMPLED)
        trace_id = int(span.trace_id, 16)
        parent = (
            SpanContext(trace_id, int(span.parent_id, 16), is_remote=True, trace_flags=flags)
            if span.parent_id
            else None
        )
        return ReadableSpan(
            name=span.name,
            context=SpanContext(
                trace_id, int(span.span_id, 16), is_remote=False, trace_flags=flags
            ),
            parent=parent,
            resource=self._resource,
            attributes=dict(span.attributes),
            kind=SpanKind[span.kind.upper()],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )

    def close(self) -> None:
        self._processor.shutdown()  # type: ignore[no-untyped-call]


_sink: _Export | None = None


def setup(endpoint: str | None, *, service: str, ratio: float) -> None:
    """Once in a process, at its start. Without an endpoint nothing is collected."""
    global _sink
    shutdown()
    _sink = _Export(endpoint, service=service, ratio=ratio) if endpoint else None


def sample(ratio: float) -> None:
    """The part of the traces that is exported from now on."""
    if _sink is not None:
        _sink.sample(ratio)


def enabled() -> bool:
    return _sink is not None


def add(span: Span) -> None:
    if _sink is not None:
        _sink.add(span)


def shutdown() -> None:
    """Deliver what is left."""
    global _sink
    if _sink is not None:
        _sink.close()
        _sink = None
