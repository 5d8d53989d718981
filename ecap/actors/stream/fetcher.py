"""Records of the partitions a shard owns, from the offsets the shard chooses.

Memory is bounded by the consumer: it keeps one fetched block a partition and
asks for no more until that is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecap.actors.place import Place
from ecap.clients.kafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition, translated


class Fetching:
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._positions: dict[Place, int] = {}

    def assign(self, offsets: Mapping[Place, int]) -> None:
        """Exactly these partitions, each from its offset. What was buffered is dropped."""
        self._positions = dict(offsets)
        if not offsets:
            self._consumer.unsubscribe()
            return
        # With no await before the seeks: the consumer fetches in a task of its own, and what it
        # finds without an offset it reads from its beginning.
        self._consumer.assign([TopicPartition(*place) for place in offsets])
        for place, offset in offsets.items():
            self._consumer.seek(TopicPartition(*place), offset)

    def seek(self, place: Place, offset: int) -> None:
        self._positions[place] = offset
        self._consumer.seek(TopicPartition(*place), offset)

    def position(self, place: Place) -> int:
        """The offset after the last record handed out."""
        return self._positions[place]

    @property
    def positions(self) -> Mapping[Place, int]:
        return self._positions

    def highwater(self, place: Place) -> int | None:
        """The end of the partition in the last answer of the broker; right even for
        a position beyond it, where some brokers never answer with an error."""
        mark = self._consumer.highwater(TopicPartition(*place))
        return None if mark is None else int(mark)

    async def poll(
        self, *, max_records: int, wait_s: float
    ) -> Mapping[Place, Sequence[ConsumerRecord]]:
        if not self._positions:
            return {}
        with translated():
            found = await self._consumer.getmany(
                timeout_ms=int(wait_s * 1000), max_records=max_records
            )
        records: dict[Place, Sequence[ConsumerRecord]] = {}
        for partition, batch in found.items():
            if batch:
                place = (partition.topic, partition.partition)
                self._positions[place] = batch[-1].offset + 1
                records[place] = batch
        return records
