"""Totals as PostgreSQL holds them equal a recomputation over the final orders."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from integration.pipelines.stream.receivers import events_of
from integration.pipelines.stream.steps import START, at, placed, record, run

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.browsing import ProductSearched, ProductViewed
from ecap.domain.events.codec import decode
from ecap.domain.events.minutes import RevenueMinute
from ecap.domain.events.orders import (
    Decision,
    Line,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderDenied,
    OrderPlaced,
    OrderStatus,
)
from ecap.domain.events.products import ProductUpserted
from ecap.pipelines.stream.analytics.pipeline import build

Cells = defaultdict[tuple[object, ...], list[int | Decimal]]

_OUTCOME: dict[Decision, OrderStatus] = {
    "approve": "approved",
    "review": "in_review",
    "deny": "denied",
}
_CHANGES: dict[OrderStatus, type[OrderChanged]] = {
    "approved": OrderApproved,
    "denied": OrderDenied,
    "cancelled": OrderCancelled,
}


async def test_the_stream_equals_a_recomputation(pool: Pool, settings: Settings) -> None:
    dice = random.Random(7)
    pipeline = build(settings)
    state = pipeline.new_state("transactions", 0)
    final: dict[int, tuple[datetime, OrderPlaced, OrderStatus]] = {}
    records: list[Record] = []
    for number in range(400):
        lines = tuple(
            Line(
                UUID(int=dice.randrange(20)),
                dice.choice("abc"),
                dice.randint(1, 3),
                dice.randint(1, 9999),
            )
            for _ in range(dice.randint(1, 3))
        )
        amount = sum(line.quantity * line.unit_price_minor for line in lines)
        decision = dice.choice(sorted(_OUTCOME))
        seconds = dice.randrange(7200)
        order = placed(number, amount=amount, lines=lines, decision=decision)
        records.append(record(order, seconds))
        status = _OUTCOME[decision]
        if status in ("approved", "in_review") and dice.random() < 0.5:
            after: OrderStatus = (
                "cancelled" if status == "approved" else dice.choice(sorted(_CHANGES))
            )
            change = _CHANGES[after](
                order_id=order.order_id,
                user_id=order.user_id,
                previous=status,
                amount_minor=amount,
                currency="USD",
                lines=lines,
                placed_at=at(seconds),
            )
            records.append(record(change, seconds + 4000))
            status = after
        final[number] = (at(seconds), order, status)
    for start in range(0, len(records), 60):
        await run(pool, pipeline, state, records[start : start + 60])

    revenue: Cells = defaultdict(lambda: [0, Decimal(0)])
    orders: Cells = defaultdict(lambda: [0, Decimal(0)])
    sold: Cells = defaultdict(lambda: [0, Decimal(0)])
    for when, order, status in final.values():
        minute = when.replace(second=0)
        orders[minute, status][0] += 1
        orders[minute, status][1] += Decimal(order.amount_minor) / 100
        for line in order.lines:
            cells = [revenue[minute, line.category, status]]
            if status in ("approved", "in_review"):
                cells.append(sold[when.replace(minute=0, second=0), line.product_id])
            for cell in cells:
                cell[0] += line.quantity
                cell[1] += Decimal(line.quantity * line.unit_price_minor) / 100
    for table, keys, count, expected in (
        ("revenue_minute", ("minute", "category", "outcome"), "units", revenue),
        ("orders_minute", ("minute", "outcome"), "orders", orders),
        ("product_hour", ("hour", "product_id"), "units", sold),
    ):
        rows = await pool.fetch(
            f"SELECT * FROM analytics.{table} WHERE {count} <> 0 OR amount <> 0"
        )
        found = {tuple(row[key] for key in keys): [row[count], row["amount"]] for row in rows}
        assert found == dict(expected)

    total = sum(order.amount_minor for _, order, _ in final.values())
    assert await pool.fetchval("SELECT sum(amount) FROM analytics.revenue_minute") * 100 == total

    # The last event about a cell tells what the table holds.
    told = {}
    for body in await events_of(pool, "analytics"):
        payload = decode(body).payload
        assert isinstance(payload, RevenueMinute)
        told[payload.minute, payload.category, payload.outcome] = payload
    rows = await pool.fetch("SELECT * FROM analytics.revenue_minute")
    assert len(rows) == len(told)
    for row in rows:
        payload = told[row["minute"], row["category"], row["outcome"]]
        assert (payload.units, payload.amount_minor) == (row["units"], row["amount"] * 100)


async def test_views_searches_names_and_late_events(pool: Pool, settings: Settings) -> None:
    pipeline = build(settings)
    state = pipeline.new_state("user-events", 0)
    product = UUID(int=4)
    viewed = ProductViewed(session_id="s", product_id=product)
    searched = ProductSearched(session_id="s", query="lamp", results=3)
    nothing = ProductSearched(session_id="s", query="lmap", results=0)
    late = settings.stream.late_after_s + 1
    await run(
        pool,
        pipeline,
        state,
        [record(viewed, 0), record(viewed, 1), record(searched, 2), record(nothing, 3)],
    )
    await run(pool, pipeline, state, [record(viewed, -late)])
    for name, active in (("Lamp", True), ("Desk lamp", False)):
        named = ProductUpserted(
            product_id=product,
            sku="L1",
            name=name,
            category="home",
            price_minor=1,
            currency="USD",
            active=active,
        )
        await run(pool, pipeline, pipeline.new_state("product-updates", 0), [record(named, 5)])
    assert await pool.fetchval("SELECT sum(views) FROM analytics.product_hour") == 3
    activity = await pool.fetch("SELECT kind, sum(events) FROM analytics.activity_hour GROUP BY 1")
    assert {row[0]: row[1] for row in activity} == {
        "product_viewed": 3,
        "product_searched": 1,
        "search_empty": 1,
    }
    row = await pool.fetchrow("SELECT hour, events FROM analytics.late_hour")
    assert row is not None
    hour = (START - timedelta(seconds=late)).replace(minute=0, second=0)
    assert tuple(row) == (hour, 1)
    row = await pool.fetchrow("SELECT name, active FROM analytics.products")
    assert row is not None
    assert tuple(row) == ("Desk lamp", False)


async def test_revisions_become_visible_in_order(pool: Pool, settings: Settings) -> None:
    """A reader that has seen a revision never misses a lower one."""
    pipeline = build(settings)
    state = pipeline.new_state("transactions", 0)
    results = [
        pipeline.apply(state, record(placed(i), seconds)) for i, seconds in ((1, 0), (2, 600))
    ]
    first, second = ([result] for result in results if result is not None)
    async with pool.connection() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await pipeline.write(slow, first)

        async def other() -> None:
            async with pool.transaction() as conn:
                await pipeline.write(conn, second)

        writing = asyncio.create_task(other())
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(5):
            while not await pool.fetchval(waiting):  # noqa: ASYNC110  PostgreSQL has no event
                await asyncio.sleep(0.01)
        assert await pool.fetchval("SELECT max(revision) FROM analytics.orders_minute") is None
        await transaction.commit()
    await writing
    rows = await pool.fetch("SELECT minute FROM analytics.orders_minute ORDER BY revision")
    assert [row["minute"] for row in rows] == [at(0), at(600)]
