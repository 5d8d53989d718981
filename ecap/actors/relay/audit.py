"""Does the broker still have what it was given? If not, order a refill.

The outbox is the truth. A refill moves `sent_pos` back to the lowest position
a consumer may read again, and the relay sends from there with new offsets and
the same positions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta

from ecap import logs, metrics
from ecap.actors.place import Place
from ecap.actors.relay.positions import SCHEMA_OF, Lane, TopicLog
from ecap.clients.kafka import AIOKafkaConsumer, TopicPartition, create_topics, translated
from ecap.clients.outbox import SCHEMAS
from ecap.config.settings.connections.kafka import Kafka
from ecap.errors import Unavailable

_log = logs.get("ecap.relay")

_ANSWER_S = 5.0
_PURGE_BATCH = 5000


class Audit:
    def __init__(self, log: TopicLog, probe: AIOKafkaConsumer, *, kafka: Kafka) -> None:
        self._log = log
        self._probe = probe
        self._kafka = kafka

    async def run(self, *, suspected: Collection[Place] = ()) -> int:
        """Answers how many events will be sent again. `suspected` lanes are refilled unasked."""
        await create_topics(self._kafka)
        lanes = await self._log.lanes(SCHEMA_OF)
        lost = set(suspected) | await self._lost([x for x in lanes if x.kafka_offset is not None])
        refilled = 0
        if lost:
            needed = await self._log.needed()
            for place in sorted(lost):
                # Nobody known to need it: everything that is kept.
                refilled += await self._refill(place, needed.get(place, 0))
        # Read after the refills above, which answer the requests for their lanes as well.
        for place, from_pos in (await self._log.refill_requests()).items():
            refilled += await self._refill(place, from_pos)
        if refilled:
            _log.warning("refilling the broker", extra={"lanes": len(lost), "events": refilled})
        return refilled

    async def _lost(self, lanes: list[Lane]) -> set[Place]:
        """Lanes whose end is not beyond the last batch they were given.

        A batch is kept or lost as a whole, so its base offset is enough; the
        embedded broker even reports the end as base offset + 1 of the last one.
        """
        if not lanes:
            return set()
        partitions = [TopicPartition(lane.topic, lane.partition) for lane in lanes]
        try:
            async with asyncio.timeout(_ANSWER_S):
                with translated():
                    ends = await self._probe.end_offsets(partitions)
        except TimeoutError as exc:
            raise Unavailable("kafka: no end offsets in time") from exc
        return {
            lane.place
            for lane, partition in zip(lanes, partitions, strict=True)
            if lane.kafka_offset is not None and ends[partition] <= lane.kafka_offset
        }

    async def _refill(self, place: Place, from_pos: int) -> int:
        events = await self._log.refill(place, from_pos)
        metrics.outbox_refilled.labels(place[0]).inc(events)
        return events

    async def count_pending(self) -> None:
        behind = dict.fromkeys(SCHEMAS, 0)
        for lane in await self._log.lanes(SCHEMA_OF):
            behind[SCHEMA_OF[lane.topic]] += lane.next_pos - lane.sent_pos
        for schema, events in behind.items():
            unplaced = await self._log.unplaced_count(schema)
            metrics.outbox_pending.labels(schema).set(events + unplaced)

    async def purge(self, *, now: datetime, retention_s: float) -> int:
        """Forget what is old and what every consumer and Kafka are past."""
        # Read before the lanes: consumers only go forward, so what is older here errs towards
        # keeping.
        needed = await self._log.needed()
        before = now - timedelta(seconds=retention_s)
        purged = 0
        for lane in await self._log.lanes(SCHEMA_OF):
            below = min(lane.sent_pos, needed.get(lane.place, lane.sent_pos))
            if below > lane.first_pos:
                purged += await self._log.purge(
                    lane, below=below, before=before, limit=_PURGE_BATCH
                )
        return purged
