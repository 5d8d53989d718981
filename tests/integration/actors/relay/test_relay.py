"""The relay against the real PostgreSQL and broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from integration.actors.counting import order, orders, place, until
from stream_servers import World

from ecap.actors.relay.audit import Audit
from ecap.actors.relay.positions import TopicLog
from ecap.actors.relay.relay import OutboxRelay
from ecap.clients.kafka import TopicPartition, open_consumer
from ecap.clients.outbox import MAX_EVENT_BYTES
from ecap.clients.postgres import Pool
from ecap.domain.events.topics import TOPICS
from ecap.errors import Invalid


@asynccontextmanager
async def relaying(world: World, **more: str) -> AsyncIterator[OutboxRelay]:
    relay = OutboxRelay(world.settings(**more))
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def all_sent(pool: Pool, count: int) -> bool:
    sent = await pool.fetchval("SELECT sum(sent_pos) FROM stream.topic_log")
    return sent is not None and int(sent) >= count


async def in_kafka(world: World, topic: str = "transactions") -> dict[int, list[tuple[int, str]]]:
    """(pos, key) of everything in the topic, per partition, in offset order."""
    parts = [TopicPartition(topic, p) for p in range(TOPICS[topic].partitions)]
    found: dict[int, list[tuple[int, str]]] = {part.partition: [] for part in parts}
    async with open_consumer(world.settings().kafka) as consumer:
        consumer.assign(parts)
        for part in parts:
            consumer.seek(part, 0)
        while records := await consumer.getmany(timeout_ms=300):
            for part, batch in records.items():
                for record in batch:
                    pos = int(dict(record.headers)["pos"])
                    found[part.partition].append((pos, record.key.decode()))
    return found


async def test_positions_are_dense_and_keep_the_order_of_a_key(world: World) -> None:
    events = orders(3000)
    async with relaying(world):
        for start in range(0, len(events), 100):
            await place(world.pool, events[start : start + 100])
        await until(lambda: all_sent(world.pool, len(events)))
    found = await in_kafka(world)
    assert sum(map(len, found.values())) == len(events)
    for records in found.values():
        assert [pos for pos, _ in records] == list(range(len(records)))
    keys = [key for records in found.values() for _, key in records]
    assert sorted(keys) == sorted(event.key for event in events)


async def test_a_broker_that_came_back_empty_is_refilled_while_running(world: World) -> None:
    events = orders(500)
    async with relaying(world):
        await place(world.pool, events)
        await until(lambda: all_sent(world.pool, 500))
        await world.broker.kill()
        await world.broker.start()
        await place(world.pool, orders(10))

        async def refilled() -> bool:
            found = await in_kafka(world)
            return len({(p, pos) for p, r in found.items() for pos, _ in r}) == 510

        await until(refilled)


async def test_a_broker_that_came_back_empty_is_refilled_at_the_next_start(world: World) -> None:
    async with relaying(world):
        await place(world.pool, orders(500))
        await until(lambda: all_sent(world.pool, 500))
    await world.broker.kill()
    await world.broker.start()
    async with relaying(world):

        async def refilled() -> bool:
            return sum(map(len, (await in_kafka(world)).values())) == 500

        await until(refilled)


async def test_a_schema_in_trouble_does_not_stop_the_others(world: World) -> None:
    await world.pool.execute("ALTER TABLE auth.outbox RENAME TO outbox_away")
    async with relaying(world) as relay:
        await place(world.pool, orders(100))
        await until(lambda: all_sent(world.pool, 100))
        assert relay.health()["ok"]


async def test_what_every_consumer_is_past_is_purged_after_the_retention(world: World) -> None:
    async with relaying(world):
        await place(world.pool, orders(300))
        await until(lambda: all_sent(world.pool, 300))
    await world.pool.execute(
        """INSERT INTO stream.partitions (pipeline, topic, partition, start_pos, next_pos)
           SELECT 'slow', topic, partition, 0, next_pos FROM stream.topic_log"""
    )
    await world.pool.execute(
        """INSERT INTO stream.snapshots SELECT 'slow', topic, partition, 7, 0, ''
           FROM stream.topic_log WHERE topic = 'transactions'"""
    )
    async with open_consumer(world.settings().kafka) as probe:
        audit = Audit(TopicLog(world.pool), probe, kafka=world.settings().kafka)
        now = datetime.now(UTC)
        assert await audit.purge(now=now, retention_s=3600) == 0
        assert await audit.purge(now=now + timedelta(hours=2), retention_s=3600) == 6 * 7
        assert await audit.purge(now=now + timedelta(hours=2), retention_s=3600) == 0
    left = await world.pool.fetchrow("SELECT min(pos), count(*) FROM orders.outbox")
    assert left is not None
    assert tuple(left) == (7, 300 - 42)


@pytest.mark.parametrize("from_pos", [0, 5])
async def test_a_consumer_may_ask_for_a_refill(world: World, from_pos: int) -> None:
    async with relaying(world):
        await place(world.pool, orders(60))
        await until(lambda: all_sent(world.pool, 60))
        await world.pool.execute(
            "UPDATE stream.topic_log SET refill_from = $1 WHERE topic = 'transactions'", from_pos
        )

        async def again() -> bool:
            return all(
                [pos for pos, _ in records]
                == [*range(end := len({pos for pos, _ in records})), *range(from_pos, end)]
                for records in (await in_kafka(world)).values()
            )

        await until(again)


async def test_an_event_larger_than_a_batch_is_sent_in_its_place(world: World) -> None:
    small = orders(50, keys=1)
    large = order("user-0", 1, card="4" * 500_000)
    async with relaying(world):
        await place(world.pool, [*small[:25], large, *small[25:]])
        await until(lambda: all_sent(world.pool, 51))
    (records,) = [r for r in (await in_kafka(world)).values() if r]
    assert [pos for pos, _ in records] == list(range(51))


async def test_an_event_no_broker_would_take_is_refused_where_it_arises(world: World) -> None:
    with pytest.raises(Invalid, match=r"order\.placed takes"):
        await place(world.pool, [order("a", 1), order("b", 1, card="x" * MAX_EVENT_BYTES)])
    assert await world.pool.fetchval("SELECT count(*) FROM orders.outbox") == 0
