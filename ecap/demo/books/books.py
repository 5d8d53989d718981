"""What PostgreSQL says about the run, read by an operator's tool past all services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.domain.values.money import to_minor

_SQL = load_queries(__package__)
ANALYTICS = "analytics"

# [orders or units, amount in minor units]
OrderCells = Mapping[tuple[datetime, str], tuple[int, int]]
RevenueCells = Mapping[tuple[datetime, str, str], tuple[int, int]]


@dataclass(frozen=True)
class Entry:
    """A line of a book about one order. `mark` is its decision or status, as the book has it."""

    order_id: UUID
    amount_minor: int
    mark: str


@dataclass(frozen=True)
class Notice:
    event_id: UUID
    entry: Entry
    """`mark` is the kind."""
    status: str


@dataclass(frozen=True, order=True)
class Slot:
    """Where the relay put an event of transactions."""

    partition: int
    pos: int


@dataclass(frozen=True)
class Position:
    next_pos: int
    kafka_offset: int


@dataclass(frozen=True)
class Analytics:
    """Totals and how far they go: `positions` commit with the totals, so that both, read
    in one snapshot, belong together exactly, whatever else is going on."""

    since: datetime
    orders: OrderCells
    revenue: RevenueCells
    positions: Mapping[int, Position]


class Books:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def orders(self, users: Iterable[UUID]) -> list[Entry]:
        rows = await self._pool.fetch(_SQL["orders"], list(users))
        return [Entry(row["id"], to_minor(row["amount"]), row["decision"]) for row in rows]

    async def categories(self, users: Iterable[UUID]) -> dict[str, tuple[int, int]]:
        """Units and amounts of the lines."""
        rows = await self._pool.fetch(_SQL["categories"], list(users))
        return {row["category"]: (row["units"], to_minor(row["amount"])) for row in rows}

    async def decisions(self, users: Iterable[UUID]) -> list[Entry]:
        return await self._decided("decisions", users)

    async def unscored(self, users: Iterable[UUID]) -> set[UUID]:
        """Orders that went to review because no shard answered in time."""
        rows = await self._pool.fetch(_SQL["unscored"], list(users))
        return {row["transaction_id"] for row in rows}

    async def alerts(self, users: Iterable[UUID]) -> list[Entry]:
        return await self._decided("alerts", users)

    async def _decided(self, query: str, users: Iterable[UUID]) -> list[Entry]:
        rows = await self._pool.fetch(_SQL[query], list(users))
        return [
            Entry(row["transaction_id"], to_minor(row["amount"]), row["decision"]) for row in rows
        ]

    async def notices(self, users: Iterable[UUID]) -> list[Notice]:
        rows = await self._pool.fetch(_SQL["notices"], list(users))
        return [
            Notice(
                row["event_id"],
                Entry(row["order_id"], to_minor(row["amount"]), row["kind"]),
                row["status"],
            )
            for row in rows
        ]

    async def profiles(self, users: Iterable[UUID]) -> set[UUID]:
        rows = await self._pool.fetch(_SQL["profiles"], list(users))
        return {row["user_id"] for row in rows}

    async def analytics(self, since: datetime) -> Analytics:
        """`since` is the start of a minute; older ones are not looked at."""
        async with (
            self._pool.connection() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            return Analytics(
                since,
                await _order_cells(conn, since),
                await _revenue_cells(conn, since),
                {
                    row["partition"]: Position(row["next_pos"], row["kafka_offset"])
                    for row in await conn.fetch(_SQL["positions"], ANALYTICS)
                },
            )

    async def outbox(self, slots: Sequence[Slot]) -> dict[Slot, bytes]:
        rows = await self._pool.fetch(
            _SQL["outbox"], [slot.partition for slot in slots], [slot.pos for slot in slots]
        )
        return {Slot(row["partition"], row["pos"]): row["body"] for row in rows}

    # ---- how far the streams are

    async def last_written(self) -> int:
        return int(await self._pool.fetchval(_SQL["last_written"]))

    async def unplaced(self, up_to: int) -> int:
        """Events of orders, written no later than `up_to`, that the relay has not taken."""
        return int(await self._pool.fetchval(_SQL["unplaced"], up_to))

    async def given_out(self) -> dict[int, int]:
        """The position the next event of each partition of transactions will get."""
        rows = await self._pool.fetch(_SQL["given_out"])
        return {row["partition"]: row["next_pos"] for row in rows}

    async def behind(self, targets: Mapping[int, int]) -> dict[str, int]:
        rows = await self._pool.fetch(_SQL["behind"], list(targets), list(targets.values()))
        return {row["pipeline"]: row["events"] for row in rows}

    async def undelivered(self, users: Iterable[UUID]) -> int:
        return int(await self._pool.fetchval(_SQL["undelivered"], list(users)))


async def _order_cells(conn: Connection, since: datetime) -> OrderCells:
    rows = await conn.fetch(_SQL["orders_minute"], since)
    return {
        (row["minute"], row["outcome"]): (row["orders"], to_minor(row["amount"])) for row in rows
    }


async def _revenue_cells(conn: Connection, since: datetime) -> RevenueCells:
    rows = await conn.fetch(_SQL["revenue_minute"], since)
    return {
        (row["minute"], row["category"], row["outcome"]): (row["units"], to_minor(row["amount"]))
        for row in rows
    }
