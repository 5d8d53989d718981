"""The relay's memory: which position each event got, and how far Kafka has them.

Everything is in PostgreSQL; the relay itself may die between any two statements.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ecap.actors.place import Place, Row
from ecap.clients.outbox import SCHEMAS
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.domain.events.topics import DLQ_PARTITIONS, DLQ_SUFFIX, TOPICS
from ecap.domain.values.partitions import partition_of

_SQL = load_queries(__package__)
_TEMPLATES = load_queries(__package__, "outbox.sql")
_OUTBOX = {
    schema: {name: text.format(schema=schema) for name, text in _TEMPLATES.items()}
    for schema in SCHEMAS
}
# Dead letters of every topic are written by the stream runtime, whoever made the event.
_DLQ_PRODUCER = "stream"


def topics_of(schema: str) -> dict[str, int]:
    """Topics a schema's outbox may carry, with their partition counts."""
    own = {topic.name: topic.partitions for topic in TOPICS.values() if topic.producer == schema}
    if schema == _DLQ_PRODUCER:
        own |= {topic + DLQ_SUFFIX: DLQ_PARTITIONS for topic in TOPICS}
    return own


SCHEMA_OF = {topic: schema for schema in SCHEMAS for topic in topics_of(schema)}


@dataclass(slots=True)
class Lane:
    """One partition of one topic. `kafka_offset` is the base offset of the last batch sent."""

    topic: str
    partition: int
    first_pos: int
    next_pos: int
    sent_pos: int
    kafka_offset: int | None

    @property
    def place(self) -> Place:
        return self.topic, self.partition


@dataclass(frozen=True)
class Placed:
    """Lanes of a schema as they are after placing, and the rows that got their position."""

    lanes: Sequence[Lane]
    rows: Mapping[Place, Sequence[Row]]


class TopicLog:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        lanes = [(t, p) for s in SCHEMAS for t, n in topics_of(s).items() for p in range(n)]
        await self._pool.execute(_SQL["add_lanes"], [t for t, _ in lanes], [p for _, p in lanes])

    async def work(self, schemas: Sequence[str]) -> tuple[set[str], set[str]]:
        """Schemas with events that have no position, and with events not in Kafka yet.

        One round trip for all, since an idle relay asks this all day.
        """
        probes = ", ".join(f"({_OUTBOX[schema]['unplaced_exist']})" for schema in schemas)
        row = await self._pool.fetchrow(f"SELECT ({_SQL['behind']}), {probes}")
        assert row is not None
        behind, *unplaced = row.values()
        return (
            {schema for schema, found in zip(schemas, unplaced, strict=True) if found},
            {SCHEMA_OF[topic] for topic in behind or ()},
        )

    async def place(self, schema: str, *, limit: int) -> Placed:
        """Give positions to up to `limit` events. The locked lanes admit one relay at a time."""
        topics = topics_of(schema)
        async with self._pool.transaction() as conn:
            lanes = {
                lane.place: lane
                for lane in map(_lane, await conn.fetch(_SQL["lock_lanes"], list(topics)))
            }
            # After the lock: a second relay finds nothing that the first has placed. Read before
            # it, an event could get two positions. In the order of `seq`: where order matters,
            # events are written under a lock that they share, so the later one has the higher
            # number, whoever else commits in between.
            found = await conn.fetch(_OUTBOX[schema]["unplaced"], list(topics), limit)
            rows: dict[Place, list[Row]] = {}
            if found:
                rows = await self._give_out(conn, schema, found, lanes, topics)
        return Placed(list(lanes.values()), rows)

    async def _give_out(
        self,
        conn: Connection,
        schema: str,
        found: Sequence[Record],
        lanes: Mapping[Place, Lane],
        topics: Mapping[str, int],
    ) -> dict[Place, list[Row]]:
        rows: dict[Place, list[Row]] = {}
        seqs, partitions, positions = [], [], []
        for seq, topic, key, body in found:
            partition = partition_of(key, topics[topic])
            lane = lanes[topic, partition]
            seqs.append(seq)
            partitions.append(partition)
            positions.append(lane.next_pos)
            rows.setdefault((topic, partition), []).append((lane.next_pos, key, body))
            lane.next_pos += 1
        # Rows and lanes in one transaction: no position is given out twice, and none is left out,
        # wherever the relay dies.
        await conn.execute(_OUTBOX[schema]["place"], seqs, partitions, positions)
        touched = [lanes[place] for place in rows]
        await conn.execute(
            _SQL["give_out"],
            [lane.topic for lane in touched],
            [lane.partition for lane in touched],
            [lane.next_pos for lane in touched],
        )
        return rows

    async def lanes(self, topics: Iterable[str]) -> list[Lane]:
        return [_lane(row) for row in await self._pool.fetch(_SQL["lanes"], list(topics))]

    async def backlog(self, lane: Lane, *, limit: int) -> list[Row]:
        query = _OUTBOX[SCHEMA_OF[lane.topic]]["backlog"]
        rows = await self._pool.fetch(query, lane.topic, lane.partition, lane.sent_pos, limit)
        return [(row["pos"], row["key"], row["body"]) for row in rows]

    async def record_sent(self, sent: Sequence[tuple[Lane, int, int]]) -> None:
        """Of each lane: positions below the first number are in Kafka; the second is the offset."""
        async with self._pool.transaction() as conn:
            await conn.executemany(
                _SQL["sent"],
                [(lane.topic, lane.partition, lane.sent_pos, to, at) for lane, to, at in sent],
            )

    async def needed(self) -> dict[Place, int]:
        """The lowest position any known consumer may read again."""
        rows = await self._pool.fetch(_SQL["needed"])
        return {(row["topic"], row["partition"]): row["pos"] for row in rows}

    async def refill(self, place: Place, from_pos: int) -> int:
        """Send everything from `from_pos` again. Answers how many events that is."""
        return int(await self._pool.fetchval(_SQL["refill"], *place, from_pos) or 0)

    async def refill_requests(self) -> dict[Place, int]:
        rows = await self._pool.fetch(_SQL["refill_requests"])
        return {(row["topic"], row["partition"]): row["refill_from"] for row in rows}

    async def purge(self, lane: Lane, *, below: int, before: datetime, limit: int) -> int:
        """Forget the leading events of a lane that are older than `before`."""
        queries = _OUTBOX[SCHEMA_OF[lane.topic]]
        async with self._pool.transaction() as conn:
            rows = await conn.fetch(queries["oldest"], *lane.place, lane.first_pos, below, limit)
            # From the front only: a hole in what is kept would be a gap that no refill can fill.
            old = list(itertools.takewhile(lambda row: row["created_at"] < before, rows))
            if old:
                end = old[-1]["pos"] + 1
                await conn.execute(queries["purge"], *lane.place, lane.first_pos, end)
                await conn.execute(_SQL["purged"], *lane.place, end)
        return len(old)

    async def unplaced_count(self, schema: str) -> int:
        return int(await self._pool.fetchval(_OUTBOX[schema]["unplaced_count"]))


def _lane(row: Record) -> Lane:
    return Lane(*row.values())
