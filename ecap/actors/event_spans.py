"""Spans of events on their way: sent by the relay, processed and asked about in a shard.

Made only where spans are collected. Names and attributes follow OpenTelemetry's
semantic conventions for messaging.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from ecap import spans
from ecap.actors.place import Place, Row
from ecap.errors import EcapError
from ecap.mesh.context import CallContext
from ecap.mesh.trace import Trace


class _Origin(msgspec.Struct):
    """Of an envelope, what a span needs; the relay reads nothing else of events."""

    id: UUID
    traceparent: str | None = None


_origin = msgspec.json.Decoder(_Origin).decode


@dataclass(frozen=True, slots=True)
class Traced:
    """An event that was applied; `traceparent` is of the request that caused it."""

    place: Place
    pos: int
    id: UUID
    traceparent: str


def sent(place: Place, rows: Sequence[Row], *, to_pos: int, began_ns: int) -> None:
    """A span for each of `rows` below `to_pos`, which the broker has acknowledged."""
    if not spans.enabled():
        return
    for pos, _, body in rows:
        if pos >= to_pos:
            break
        origin = _origin(body)
        if origin.traceparent is not None:
            event = Traced(place, pos, origin.id, origin.traceparent)
            _add("send", "producer", event, began_ns=began_ns, more={})


def processed(pipeline: str, events: Sequence[Traced], *, began_ns: int) -> None:
    """A span for each of `events`, which are committed now."""
    for event in events:
        group = {"messaging.consumer.group.name": pipeline}
        _add("process", "consumer", event, began_ns=began_ns, more=group)


def _add(
    operation: str, kind: spans.Kind, event: Traced, *, began_ns: int, more: dict[str, Any]
) -> None:
    caller = Trace.parse(event.traceparent)
    if caller is None or not caller.sampled:
        return
    topic, partition = event.place
    _span(
        caller.child(),
        name=f"{operation} {topic}",
        kind=kind,
        began_ns=began_ns,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": operation,
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.message.id": str(event.id),
            "ecap.pos": event.pos,
            **more,
        },
    )


@contextmanager
def asked(context: CallContext, pipeline: str) -> Iterator[None]:
    """Around the answer to a question that came with `context`."""
    began_ns = time.time_ns()
    error = None
    try:
        yield
    except EcapError as exc:
        error = exc.slug
        raise
    finally:
        if spans.enabled() and context.trace.sampled:
            attributes = {"rpc.system": "ray", "rpc.service": pipeline, "rpc.method": "ask"}
            _span(
                context.trace,
                name=f"{pipeline}/ask",
                kind="server",
                began_ns=began_ns,
                attributes=attributes,
                error=error,
            )


def _span(
    trace: Trace,
    *,
    name: str,
    kind: spans.Kind,
    began_ns: int,
    attributes: dict[str, Any],
    error: str | None = None,
) -> None:
    spans.add(
        spans.Span(
            name=name,
            kind=kind,
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            parent_id=trace.parent_id,
            start_ns=began_ns,
            end_ns=time.time_ns(),
            attributes=attributes,
            error=error,
        )
    )
