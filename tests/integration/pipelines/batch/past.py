"""What happened, written as the services write it, and applied by the stream without a broker:
its own leases, cursors and fenced transactions, and deliveries as unruly as a broker's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ecap.actors.relay.positions import TopicLog
from ecap.actors.stream.commit import Batch, Committer
from ecap.actors.stream.leases import Leases
from ecap.actors.stream.owned import Owned
from ecap.clients import outbox
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.topics import TOPICS
from ecap.pipelines.batch.frame.job import Outcome
from ecap.pipelines.batch.jobs import JOBS

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOPIC = "transactions"
PLACES = [(TOPIC, partition) for partition in range(TOPICS[TOPIC].partitions)]
_TABLES = """
    orders.outbox, stream.outbox, stream.topic_log, stream.partitions, stream.members,
    stream.snapshots, stream.dead_letters, fraud.decisions, fraud.alerts, fraud.outbox,
    analytics.revenue_minute, analytics.orders_minute, analytics.product_hour,
    analytics.activity_hour, analytics.late_hour, analytics.products, analytics.outbox
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def in_process(settings: Settings) -> Any:
    """Parts one after the other, without Ray."""

    def spread(work: Callable[..., Any], parts: Sequence[Any], answers: type[Any]) -> Iterator[Any]:
        return (work(settings, part) for part in parts)

    return spread


@dataclass
class Delivered:
    """As much of a Kafka record as the runtime looks at."""

    value: bytes
    offset: int
    pos: int
    key: bytes = b"key"
    headers: Sequence[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = (("pos", str(self.pos).encode()),)


class Past:
    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.settings = settings
        self.pool = pool

    async def forget(self) -> None:
        await self.pool.execute(f"TRUNCATE {_TABLES}")

    async def happen(self, events: Sequence[Event]) -> None:
        async with self.pool.transaction() as conn:
            await outbox.append(conn, "orders", TOPIC, events)
        await self.place()

    async def place(self) -> None:
        log = TopicLog(self.pool)
        await log.prepare()
        await log.place("orders", limit=100_000)

    async def applied(self, pipeline: Any, *, dice: random.Random | None = None) -> None:
        """By a stream that commits in batches of any size."""
        async for _ in self.applying(pipeline, dice=dice):
            pass

    async def applying(self, pipeline: Any, *, dice: random.Random | None = None) -> Any:
        dice = dice or random.Random(0)
        leases = Leases(
            self.pool, pipeline=pipeline.name, member="past", partitions=PLACES, ttl_s=60.0
        )
        await leases.join()
        committer = Committer(self.pool, pipeline, member="past")
        for lease in await leases.take(held=[], limit=len(PLACES)):
            owned = Owned(
                pipeline, lease, state=pipeline.new_state(*lease.place), pos=lease.next_pos,
                offset=0, dense=True, buried=set(), poison={},
            )  # fmt: skip
            rows = await self.pool.fetch(
                "SELECT pos, body FROM orders.outbox WHERE partition = $1 AND pos >= $2"
                " ORDER BY pos",
                lease.partition,
                lease.next_pos,
            )
            records = [Delivered(row["body"], row["pos"], row["pos"]) for row in rows]
            for delivery in unruly(records, dice):
                batch = Batch()
                await owned.apply(delivery, batch)
                if batch.moves:
                    await committer.commit(batch)
                    yield

    async def run(self, name: str, **given: Any) -> Outcome:
        job = JOBS[name]
        arguments = job.arguments.model_validate(given)
        spread = in_process(self.settings)
        return await asyncio.to_thread(job.load(), self.settings, arguments, spread)

    async def purge(self, below: int) -> None:
        """As the relay forgets what is old."""
        log = TopicLog(self.pool)
        for lane in await log.lanes([TOPIC]):
            await log.purge(lane, below=below, before=datetime.now(UTC), limit=100_000)


def unruly(records: Sequence[Delivered], dice: random.Random) -> Iterator[list[Delivered]]:
    """With repetitions and holes, and in the end everything once more, in order."""
    for _ in range(dice.randrange(4) if records else 0):
        first = dice.randrange(len(records))
        yield list(records[first : first + dice.randint(1, len(records))])
    while records:
        size = dice.randint(1, len(records))
        yield list(records[:size])
        records = records[size:]


def event(payload: Any, seconds: float) -> Event:
    return new_event(payload, key=str(payload.user_id), producer="orders", now=at(seconds))


def user(number: int) -> UUID:
    return UUID(int=number)
