"""Whatever is killed, and whenever: each event is applied exactly once, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration.actors.counting import applied, orders, place, reconcile, until
from stream_servers import Child, World

from ecap.domain.events.envelope import Event
from ecap.errors import Retryable

BATCHES, SIZE = 60, 100
TOTAL = BATCHES * SIZE


@asynccontextmanager
async def children(*started: Awaitable[Child]) -> AsyncIterator[list[Child]]:
    found = [await child for child in started]
    try:
        yield found
    finally:
        for child in found:
            await child.kill()


def relay(world: World) -> Awaitable[Child]:
    return Child.start("relay", environ=world.environ())


def shard(world: World, name: str = "a", **more: str) -> Awaitable[Child]:
    return Child.start("shard", name, environ=world.environ(**more))


async def under_load(
    world: World,
    fault: Callable[[], Coroutine[Any, Any, None]],
    *,
    batches: int = BATCHES,
    size: int = SIZE,
) -> list[Event]:
    """Orders arrive all the while; `fault` strikes after a third of them was applied."""
    events = orders(batches * size)
    struck: asyncio.Task[None] | None = None
    for batch in range(batches):
        await _placed(world, events[batch * size : (batch + 1) * size])
        if struck is None and batch >= batches // 3:
            await until(lambda: _reached(world, batches * size // 4))
            struck = asyncio.create_task(fault())
    assert struck is not None
    await struck
    await until(lambda: _reached(world, len(events)), within_s=90)
    return events


async def _placed(world: World, events: list[Event]) -> None:
    """A client that tries again; the ids make the second time harmless."""

    async def done() -> bool:
        try:
            ids = [event.id for event in events]
            query = "SELECT count(*) FROM orders.outbox WHERE id = ANY($1)"
            if await world.pool.fetchval(query, ids) == 0:
                await place(world.pool, events)
        except Retryable:
            return False
        return True

    await until(done)


async def _reached(world: World, count: int) -> bool:
    try:
        return await applied(world.pool) >= count
    except Retryable:
        return False


async def test_the_broker_is_killed_and_comes_back_empty(world: World) -> None:
    async def fault() -> None:
        await world.broker.kill()
        await world.broker.start()

    async with children(relay(world), shard(world)):
        events = await under_load(world, fault)
    await reconcile(world.pool, events)


async def test_the_broker_is_away_for_a_while(world: World) -> None:
    async def fault() -> None:
        await world.broker.kill()
        behind = await world.pool.fetchval("SELECT count(*) FROM orders.outbox")

        async def orders_go_on() -> bool:
            now = await world.pool.fetchval("SELECT count(*) FROM orders.outbox")
            return bool(now >= behind + 500)

        await until(orders_go_on)
        await world.broker.start()

    async with children(relay(world), shard(world)):
        events = await under_load(world, fault)
    await reconcile(world.pool, events)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_shard_is_killed_in_the_middle(world: World, times: int) -> None:
    async with children(relay(world), shard(world)) as found:

        async def fault() -> None:
            for _ in range(times):
                await found[1].kill()
                found[1] = await shard(world)
                # The last of all may have been applied before this one was killed.
                more = min(await applied(world.pool) + 1, TOTAL)
                await until(lambda m=more: _reached(world, m))  # type: ignore[misc]

        events = await under_load(world, fault)
        assert len(events) == TOTAL
    await reconcile(world.pool, events)


async def test_another_shard_takes_over_from_a_killed_one(world: World) -> None:
    async with children(relay(world), shard(world, "a"), shard(world, "b")) as found:
        events = await under_load(world, found[2].kill)
    await reconcile(world.pool, events)


@pytest.mark.parametrize("times", [1, 5])
async def test_the_relay_is_killed_anywhere(world: World, times: int) -> None:
    async with children(relay(world), shard(world)) as found:

        async def fault() -> None:
            for _ in range(times):
                await found[0].kill()
                found[0] = await relay(world)
                await until(lambda: _sending(world))

        events = await under_load(world, fault)
    await reconcile(world.pool, events)


async def _sending(world: World) -> bool:
    query = "SELECT sum(next_pos - sent_pos) FROM stream.topic_log"
    return bool(await world.pool.fetchval(query) < 200)


async def test_the_relay_dies_between_sending_and_recording(world: World) -> None:
    """What it would have recorded is taken back by hand: the same as dying before it."""

    async def fault() -> None:
        await found[0].kill()
        await world.pool.execute(
            """UPDATE stream.topic_log SET sent_pos = greatest(sent_pos - 50, 0)
               WHERE topic = 'transactions'"""
        )
        found[0] = await relay(world)

    async with children(relay(world), shard(world)) as found:
        events = await under_load(world, fault)
    await reconcile(world.pool, events)


async def test_two_relays_at_once(world: World) -> None:
    async with children(relay(world), relay(world), shard(world)) as found:
        events = await under_load(world, found[1].kill)
    await reconcile(world.pool, events)


async def test_postgresql_crashes_under_load(world: World) -> None:
    async def fault() -> None:
        for _ in range(2):
            await world.database.crash()
            await world.database.start()
            await until(lambda: _reached(world, 0))

    async with children(relay(world), shard(world)) as found:
        events = await under_load(world, fault)
        assert all(child.running for child in found)
    await reconcile(world.pool, events)


async def test_a_zombie_with_an_old_epoch_writes_nothing(world: World) -> None:
    async with children(relay(world), shard(world, "zombie")) as found:

        async def fault() -> None:
            # Frozen with a batch at hand while its leases run out and b takes over.
            found[1].freeze()
            found.append(await shard(world, "b"))
            await until(lambda: _owned_by(world, "b"))
            found[1].thaw()

        events = await under_load(world, fault)
    await reconcile(world.pool, events)
    rows = await world.pool.fetch("SELECT shard, partition, pos FROM applied ORDER BY seq")
    taken_over = {row["partition"] for row in rows if row["shard"] == "b"}
    assert taken_over


async def test_a_newer_process_of_the_same_name_replaces_the_old_one(world: World) -> None:
    async with children(relay(world), shard(world, "a")) as found:

        async def fault() -> None:
            found.append(await shard(world, "a"))
            query = "SELECT min(epoch) FROM stream.partitions"
            await until(lambda: _at_least(world, query, 2))

        events = await under_load(world, fault)
        # The old one leaves it at that: it does not take the partitions back.
        assert await world.pool.fetchval("SELECT max(epoch) FROM stream.partitions") == 2
    await reconcile(world.pool, events)


async def test_anything_at_any_time(world: World) -> None:
    rng = random.Random(7)
    async with children(relay(world), shard(world, "a"), shard(world, "b")) as found:

        async def fault() -> None:
            for _ in range(8):
                match rng.choice(["broker", "relay", "a", "b"]):
                    case "broker":
                        await world.broker.kill()
                        await world.broker.start()
                    case "relay":
                        await found[0].kill()
                        found[0] = await relay(world)
                    case name:
                        index = 1 if name == "a" else 2
                        await found[index].kill()
                        found[index] = await shard(world, name)
                more = min(await applied(world.pool) + rng.randrange(200), 120 * SIZE)
                await until(lambda m=more: _reached(world, m))  # type: ignore[misc]

        events = await under_load(world, fault, batches=120)
    await reconcile(world.pool, events)


async def _owned_by(world: World, name: str) -> bool:
    query = "SELECT count(*) FROM stream.partitions WHERE owner = $1"
    return bool(await world.pool.fetchval(query, name) == 6)


async def _at_least(world: World, query: str, least: int) -> bool:
    return int(await world.pool.fetchval(query)) >= least
