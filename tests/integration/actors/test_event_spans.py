"""An event's trace goes on behind the broker, and a question's behind the call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from integration.actors.counting import Counting, applied, order, place, until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp import collector
from stream_servers import World

from ecap import spans
from ecap.actors.relay.relay import OutboxRelay
from ecap.actors.stream.questions import Ask
from ecap.actors.stream.shard import Shard
from ecap.mesh import CallContext
from ecap.mesh.trace import Trace


async def test_one_trace_from_the_request_to_the_shard(world: World) -> None:
    request = Trace.new()
    event = replace(order("user-1", 700), traceparent=request.traceparent)
    unsampled = Trace.new(sampled=False)
    silent = replace(order("user-2", 1), traceparent=unsampled.traceparent)
    received: list[ExportTraceServiceRequest] = []
    asking = CallContext.new()
    async with collector(received) as endpoint:
        spans.setup(endpoint, service="test", ratio=1.0)
        relay = OutboxRelay(world.settings())
        shard = Shard(world.settings(), [Counting("a")], member="a")
        await relay.start()
        await shard.start()
        await place(world.pool, [event, silent, order("user-3", 1)])
        await until(lambda: _reached(world, 3))
        question = Ask("counting", "transactions", "user-1", "user-1")
        assert await shard.handle("ask", question, asking.to_headers(timeout_s=5)) == 700
        await shard.stop()
        await relay.stop()
        await asyncio.to_thread(spans.shutdown)
    found = {s.name: s for r in received for s in r.resource_spans[0].scope_spans[0].spans}
    assert set(found) == {"send transactions", "process transactions", "counting/ask"}
    for name in ("send transactions", "process transactions"):
        span = found[name]
        assert span.trace_id.hex() == request.trace_id
        assert span.parent_span_id.hex() == request.span_id
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        words = {a.key: a.value.string_value for a in span.attributes}
        assert words["messaging.message.id"] == str(event.id)
    assert found["counting/ask"].trace_id.hex() == asking.trace.trace_id


async def _reached(world: World, count: int) -> bool:
    return await applied(world.pool) >= count
