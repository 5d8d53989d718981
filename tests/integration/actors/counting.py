"""A pipeline whose mistakes show: every result is written without any constraint,
with the running total of its key, so that a loss, a double, a wrong order and a
wrongly recovered state each leave a trace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from ecap.actors.stream.pipeline import Record
from ecap.clients import outbox
from ecap.clients.postgres import Connection, Pool
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.orders import OrderPlaced
from ecap.domain.values.ids import new_id


@dataclass
class Count:
    record: Record
    amount: int
    total: int


class Counting:
    name = "counting"
    topics: tuple[str, ...] = ("transactions",)

    def __init__(self, shard: str = "") -> None:
        self._shard = shard

    def new_state(self, topic: str, partition: int) -> dict[str, int]:
        return {}

    def dump(self, state: dict[str, int]) -> bytes:
        return msgspec.json.encode(state)

    def load(self, topic: str, partition: int, snapshot: bytes) -> dict[str, int]:
        return msgspec.json.decode(snapshot, type=dict[str, int])

    def apply(self, state: dict[str, int], record: Record) -> Count:
        payload = record.event.payload
        assert isinstance(payload, OrderPlaced)
        if payload.card == "refused":
            raise ValueError("a refused card")
        if payload.card == "broken":
            state[record.event.key] = -(10**9)  # leaves the state in doubt on purpose
            raise KeyError("a bug")
        total = state.get(record.event.key, 0) + payload.amount_minor
        state[record.event.key] = total
        return Count(record, payload.amount_minor, total)

    async def write(self, conn: Connection, results: Sequence[Count]) -> None:
        await conn.copy_records_to_table(
            "applied",
            columns=("shard", "topic", "partition", "pos", "event_id", "key", "amount", "total"),
            records=[
                (
                    self._shard,
                    r.record.topic,
                    r.record.partition,
                    r.record.pos,
                    r.record.event.id,
                    r.record.event.key,
                    r.amount,
                    r.total,
                )
                for r in results
            ],
        )

    def answer(self, state: dict[str, int], question: Any, *, now: datetime) -> Any:
        return state.get(question, 0)


def order(key: str, amount: int, *, card: str = "4242") -> Event:
    user = UUID(int=random.getrandbits(128))
    return new_event(
        OrderPlaced(
            order_id=new_id(),
            user_id=user,
            amount_minor=amount,
            currency="USD",
            lines=(),
            card=card,
            device_id="d",
            ip="127.0.0.1",
        ),
        key=key,
        producer="orders",
        now=datetime.now(UTC),
    )


async def place(pool: Pool, events: Sequence[Event]) -> None:
    async with pool.transaction() as conn:
        await outbox.append(conn, "orders", "transactions", events)


def orders(count: int, *, keys: int = 50) -> list[Event]:
    return [
        order(f"user-{random.randrange(keys)}", random.randint(1, 10_000)) for _ in range(count)
    ]


async def until(condition: Callable[[], Awaitable[Any]], *, within_s: float = 60.0) -> Any:
    async with asyncio.timeout(within_s):
        while not (found := await condition()):  # noqa: ASYNC110  nothing to be told by
            await asyncio.sleep(0.02)
        return found


async def applied(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM applied"))


async def reconcile(pool: Pool, events: Sequence[Event]) -> None:
    """Each event exactly once, in the order of its partition, on a state that lost nothing."""
    rows = await pool.fetch("SELECT * FROM applied ORDER BY seq")
    assert len(rows) == len(events)
    assert {row["event_id"] for row in rows} == {event.id for event in events}
    written: dict[str, int] = {}
    next_pos: dict[int, int] = {}
    for row in rows:
        assert row["pos"] >= next_pos.get(row["partition"], 0), "out of order"
        next_pos[row["partition"]] = row["pos"] + 1
        written[row["key"]] = written.get(row["key"], 0) + row["amount"]
        assert row["total"] == written[row["key"]], "the state lost or doubled something"
    by_key: dict[str, list[UUID]] = {}
    for row in rows:
        by_key.setdefault(row["key"], []).append(row["event_id"])
    expected: dict[str, list[UUID]] = {}
    for event in events:
        expected.setdefault(event.key, []).append(event.id)
    assert by_key == expected
