"""Rows of the outbox into Kafka: whole batches, in order, with their positions.

Batches are built here rather than record by record: one future a batch instead
of one an event is most of the relay's throughput.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ecap.actors.place import Row
from ecap.actors.relay.positions import Lane
from ecap.clients.kafka import AIOKafkaProducer, translated
from ecap.errors import Unavailable

_POS = "pos"


@dataclass(frozen=True)
class Sent:
    """Rows below `to_pos` were acknowledged; `lost`: the broker forgot what it had before."""

    lane: Lane
    to_pos: int
    offset: int | None
    lost: bool = False
    error: Unavailable | None = None


async def send(producer: AIOKafkaProducer, lane: Lane, rows: Sequence[Row]) -> Sent:
    """Never raises Unavailable: what was acknowledged before the trouble counts."""
    to_pos, offset = lane.sent_pos, lane.kafka_offset
    waiting = []
    error = None
    try:
        with translated():
            for batch, end in _batches(producer, rows):
                future = await producer.send_batch(batch, lane.topic, partition=lane.partition)
                waiting.append((future, end))
    except Unavailable as exc:
        error = exc
    # All of them, also after a failure: a batch that is left to the producer would arrive behind
    # the back of the next attempt.
    done = await asyncio.gather(*(future for future, _ in waiting), return_exceptions=True)
    for (_, end), answer in zip(waiting, done, strict=True):
        if isinstance(answer, BaseException):
            # A batch behind the one that failed does not count, even if it is in: below `to_pos`
            # nothing may be missing.
            return Sent(lane, to_pos, offset, error=_unavailable(answer))
        if offset is not None and answer.offset <= offset:
            # Offsets only grow. A broker that starts over has lost what was before.
            return Sent(lane, to_pos, offset, lost=True)
        to_pos, offset = end, answer.offset
    return Sent(lane, to_pos, offset, error=error)


def _batches(producer: Any, rows: Sequence[Row]) -> Iterator[tuple[Any, int]]:
    batch = producer.create_batch()
    end = 0
    for pos, key, body in rows:
        record = {
            "key": key.encode(),
            "value": body,
            "timestamp": None,
            "headers": [(_POS, b"%d" % pos)],
        }
        if batch.append(**record) is None:
            yield batch, end
            batch = producer.create_batch()
            # The first record of a batch always fits, however large. One that no broker would take
            # is refused where it is written (see `outbox.append`).
            batch.append(**record)
        end = pos + 1
    yield batch, end


def _unavailable(exc: BaseException) -> Unavailable:
    try:
        with translated():
            raise exc
    except Unavailable as unavailable:
        return unavailable
