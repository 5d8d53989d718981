"""Transactions scored and committed exactly once, per second: the shard as a Ray actor, two of
them, the same shard in plain asyncio, and a loop that only consumes and decodes.

    python -m bench.stream EVENTS        prints one JSON list

Its own servers, nothing else running on them. The events are in Kafka before the
clock starts, which is when every shard has a partition; it ends when the last position is
committed in PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

from bench.system import folder
from ecap.actors.garbage import collect_rarely
from ecap.clients.kafka import (
    TopicPartition,
    create_topics,
    open_consumer,
    open_producer,
)
from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings, load
from ecap.domain.events.codec import decode, encode
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderPlaced
from ecap.domain.events.topics import TOPICS
from ecap.domain.values.ids import new_id
from ecap.domain.values.partitions import partition_of
from ecap.local.servers.servers import open_servers
from ecap.runtime import roster

_CUSTOMERS = 20_000
_PARTITIONS = TOPICS["transactions"].partitions
_RESET = """
TRUNCATE fraud.decisions, fraud.alerts, fraud.outbox, stream.partitions, stream.snapshots
"""


def transactions(count: int) -> list[tuple[int, bytes]]:
    """Partition and body, in order; the same every time but for ids."""
    rng = random.Random(1)  # noqa: S311
    customers = [new_id() for _ in range(_CUSTOMERS)]
    products = [(new_id(), f"category-{i % 12}", rng.randrange(200, 9000)) for i in range(300)]
    begin = datetime.now(UTC) - timedelta(minutes=10)
    return [
        _transaction(rng, rng.choice(customers), products, begin + timedelta(milliseconds=i // 10))
        for i in range(count)
    ]


def _transaction(
    rng: random.Random, user: UUID, products: list[tuple[UUID, str, int]], now: datetime
) -> tuple[int, bytes]:
    lines = tuple(
        Line(product_id, category, rng.randint(1, 3), price)
        for product_id, category, price in rng.sample(products, rng.choice((1, 1, 2, 3)))
    )
    placed = OrderPlaced(
        order_id=new_id(),
        user_id=user,
        amount_minor=sum(line.quantity * line.unit_price_minor for line in lines),
        currency="USD",
        lines=lines,
        card=f"tok_{user.int % 99991}",
        device_id=f"device-{user.int % 99989}",
        ip="10.0.0.1",
        latitude=40.7 + user.int % 100 / 1000,
        longitude=-74.0,
    )
    event = new_event(placed, key=str(user), producer="orders", now=now)
    return partition_of(str(user), _PARTITIONS), encode(event)


async def _produce(settings: Settings, batch: list[tuple[int, bytes]]) -> None:
    """With the positions the relay would have given."""
    positions = [0] * _PARTITIONS
    async with open_producer(settings.kafka) as producer:
        waiting = []
        for partition, body in batch:
            header = ("pos", str(positions[partition]).encode())
            positions[partition] += 1
            waiting.append(
                await producer.send("transactions", body, partition=partition, headers=[header])
            )
        await producer.flush()
        await asyncio.gather(*waiting)


async def _bare_loop(settings: Settings, count: int) -> float:
    places = [TopicPartition("transactions", p) for p in range(_PARTITIONS)]
    async with open_consumer(settings.kafka) as consumer:
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        begin = time.perf_counter()
        seen = 0
        while seen < count:
            found = await consumer.getmany(timeout_ms=1000, max_records=2000)
            for records in found.values():
                for record in records:
                    decode(record.value)
                seen += len(records)
        return time.perf_counter() - begin


async def _rate(pool: Pool, count: int) -> float:
    """From now to the last of `count`; what was committed before does not count."""
    query = "SELECT coalesce(sum(next_pos), 0) FROM stream.partitions WHERE pipeline = 'fraud'"
    begin = time.perf_counter()
    before = done = int(await pool.fetchval(query))
    while done < count and time.perf_counter() - begin < 300:
        await asyncio.sleep(0.02)
        done = int(await pool.fetchval(query))
    took = time.perf_counter() - begin
    rows = await pool.fetchval("SELECT count(*) FROM fraud.decisions")
    if not count == done == rows:
        raise RuntimeError(f"{done} positions and {rows} decisions of {count} transactions")
    return (count - before) / took


async def _measured(pool: Pool, count: int, environ: dict[str, str], how: str) -> float:
    shards = 2 if how == "two" else 1
    await pool.execute(_RESET)
    process = subprocess.Popen(  # noqa: S603, ASYNC220
        [sys.executable, "-m", "bench.stream", "shard", how],
        env={**environ, "ECAP__STREAM__SHARDS__FRAUD": str(shards)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        owners = "SELECT count(DISTINCT owner) FROM stream.partitions"
        while await pool.fetchval(owners) < shards:
            if process.poll() is not None:
                raise RuntimeError("the shard ended")
            await asyncio.sleep(0.005)
        return await _rate(pool, count)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def measure(count: int, state_dir: Path) -> list[dict[str, Any]]:
    async with open_servers(load(secrets=False), state_dir, beside_others=True) as found:
        environ = {**os.environ, **found.environ}
        settings = load(environ)
        async with open_pool(settings.postgres, service="bench") as pool:
            await migrate(pool)
            await create_topics(settings.kafka)
            await _produce(settings, transactions(count))
            bare_s = await _bare_loop(settings, count)
            # The best of two, as what disturbs a round only ever slows it.
            rate = {"bare": count / bare_s}
            for how in ("plain", "one", "two") * 2:
                rate[how] = max(rate.get(how, 0.0), await _measured(pool, count, environ, how))
    return [
        _row("bare: consume and decode only", rate["bare"], "", 1.0),
        _row("plain asyncio shard", rate["plain"], "consume and decode", rate["bare"]),
        _row("Ray actor shard", rate["one"], "consume and decode", rate["bare"]),
        _row("Ray actor shard", rate["one"], "plain asyncio shard", rate["plain"]),
        _row("two Ray actor shards", rate["two"], "consume and decode", rate["bare"]),
        _row("two Ray actor shards", rate["two"], "Ray actor shard", rate["one"]),
    ]


def _row(name: str, rate: float, baseline: str, of: float) -> dict[str, Any]:
    ratio = round(rate / of, 3) if baseline else 1.0
    return {
        "name": name,
        "value": round(rate),
        "unit": "transactions/s",
        "baseline": baseline,
        "ratio": ratio,
    }


async def _plain_shard() -> None:
    collect_rarely()
    shard = roster.build("fraud-0", load(), os.environ)
    await shard.start()
    await asyncio.Event().wait()


def _ray_shards(count: int) -> None:
    import ray  # late: it reads its environment

    from ecap.actors.reach import NAMESPACE
    from ecap.runtime.children import host

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        namespace=NAMESPACE,
    )
    for number in range(count):
        host(f"fraud-{number}", dict(os.environ))
    time.sleep(600)


def main() -> None:
    if sys.argv[1:] == ["shard", "plain"]:
        uvloop.run(_plain_shard())
    elif sys.argv[1:2] == ["shard"]:
        _ray_shards({"one": 1, "two": 2}[sys.argv[2]])
    else:
        with folder() as state_dir:
            rows = asyncio.run(measure(int(sys.argv[1]), state_dir / "state"))
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
