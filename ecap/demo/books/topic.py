"""The topic `transactions` itself, read from the broker between two moments."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecap.clients.kafka import (
    AIOKafkaConsumer,
    ConsumerRecord,
    TopicPartition,
    open_consumer,
    translated,
)
from ecap.config.settings.connections.kafka import Kafka
from ecap.demo.books.books import Slot
from ecap.domain.events.codec import EventError, decode
from ecap.domain.events.envelope import Event
from ecap.domain.events.topics import TOPICS
from ecap.errors import Unavailable

TOPIC = "transactions"
_QUIET_S = 30.0
_AT_ONCE = 2000


@dataclass
class Reading:
    """Events by the position the relay gave them. `repeated` counts records sent again
    under a position already seen, which is the relay's right; `refound` events the broker
    has lost after every stream had them; `unreadable` are no events or have no position."""

    events: dict[Slot, Event] = field(default_factory=dict)
    repeated: int = 0
    refound: int = 0
    unreadable: int = 0

    def add(self, record: ConsumerRecord) -> None:
        pos = next((int(value) for name, value in record.headers if name == "pos"), None)
        if pos is None or record.value is None:
            self.unreadable += 1
            return
        slot = Slot(record.partition, pos)
        if slot in self.events:
            self.repeated += 1
            return
        try:
            self.events[slot] = decode(record.value)
        except EventError:
            self.unreadable += 1

    def refind(self, bodies: Mapping[Slot, bytes]) -> None:
        for slot, body in bodies.items():
            self.refound += 1
            self.events[slot] = decode(body)

    def missing(self, begin: Mapping[int, int], end: Mapping[int, int]) -> list[Slot]:
        """Positions from begin to end that were not read."""
        return [
            Slot(partition, pos)
            for partition, until in end.items()
            for pos in range(begin.get(partition, 0), until)
            if Slot(partition, pos) not in self.events
        ]


async def ends(settings: Kafka) -> dict[int, int]:
    """The next offset of each partition. Raises Unavailable."""
    async with open_consumer(settings) as consumer:
        with translated():
            found = await consumer.end_offsets(_partitions())
    return {partition.partition: offset for partition, offset in found.items()}


async def read(settings: Kafka, start: Mapping[int, int]) -> Reading:
    """Everything from these offsets to the present end.

    A broker that lost its data has a lower end than it had: then from its beginning.
    Raises Unavailable, also when nothing comes any more before the end.
    """
    reading = Reading()
    async with open_consumer(settings) as consumer:
        with translated():
            first = await consumer.beginning_offsets(_partitions())
            last = await consumer.end_offsets(_partitions())
            begin = {
                p: _within(start.get(p.partition, 0), first[p], last[p]) for p in _partitions()
            }
            wanted = [p for p in begin if begin[p] < last[p]]
            if wanted:
                await _drain(consumer, {p: (begin[p], last[p]) for p in wanted}, reading)
    return reading


def _partitions() -> list[TopicPartition]:
    return [TopicPartition(TOPIC, number) for number in range(TOPICS[TOPIC].partitions)]


def _within(wanted: int, first: int, last: int) -> int:
    return wanted if first <= wanted <= last else first


async def _drain(
    consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, tuple[int, int]], reading: Reading
) -> None:
    consumer.assign(list(spans))
    for partition, (begin, _) in spans.items():
        consumer.seek(partition, begin)
    left = {partition: end for partition, (_, end) in spans.items()}
    moved_at = time.monotonic()
    while left:
        found = await consumer.getmany(timeout_ms=500, max_records=_AT_ONCE)
        for records in found.values():
            moved_at = time.monotonic()
            for record in records:
                reading.add(record)
        left = {p: end for p, end in left.items() if await consumer.position(p) < end}
        if time.monotonic() - moved_at > _QUIET_S:
            raise Unavailable(f"kafka: nothing more of {TOPIC} before the end of {sorted(left)}")
