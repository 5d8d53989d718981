"""Spans reach a collector over OTLP/HTTP with the ids the request carried."""

from __future__ import annotations

import asyncio

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp import collector

from ecap import spans

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(trace_id: str = TRACE, *, error: str | None = None) -> spans.Span:
    return spans.Span(
        name="GET /x",
        kind="server",
        trace_id=trace_id,
        span_id="b7ad6b7169203331",
        parent_id="00f067aa0ba902b7",
        start_ns=1_000,
        end_ns=2_000,
        attributes={"http.route": "/x"},
        error=error,
    )


async def test_a_span_arrives_as_it_was_made() -> None:
    received: list[ExportTraceServiceRequest] = []
    async with collector(received) as endpoint:
        spans.setup(endpoint, service="orders", ratio=1.0)
        spans.add(span(error="503"))
        await asyncio.to_thread(spans.shutdown)
    [resource] = received[0].resource_spans
    names = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert names["service.name"] == "orders"
    [one] = resource.scope_spans[0].spans
    assert one.trace_id.hex() == TRACE
    assert one.parent_span_id.hex() == "00f067aa0ba902b7"
    assert (one.start_time_unix_nano, one.end_time_unix_nano) == (1_000, 2_000)
    assert one.status.message == "503"


async def test_a_ratio_keeps_the_same_traces_everywhere() -> None:
    received: list[ExportTraceServiceRequest] = []
    low, high = "0" * 16 + "1" * 16, "0" * 16 + "f" * 16
    async with collector(received) as endpoint:
        for service in ("orders", "fraud"):
            spans.setup(endpoint, service=service, ratio=0.5)
            spans.add(span(low))
            spans.add(span(high))
            await asyncio.to_thread(spans.shutdown)
    kept = [s.trace_id.hex() for r in received for s in r.resource_spans[0].scope_spans[0].spans]
    assert kept == [low, low]


def test_nothing_is_collected_without_an_endpoint() -> None:
    spans.setup(None, service="orders", ratio=1.0)
    assert not spans.enabled()
    spans.add(span())
