"""The stock that shoppers see follows the stock that is sold from."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderApproved, OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.events.payload import Payload
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.availability.pipeline import AvailabilityPipeline, build
from ecap.pipelines.stream.inventory import pipeline as inventory
from ecap.serve.catalog.store import Catalog


@pytest.fixture
def availability(settings: Settings) -> AvailabilityPipeline:
    return build(settings)


def record(payload: Payload, topic: str = "transactions") -> Record:
    event = new_event(payload, key="k", producer="orders", now=datetime.now(UTC))
    return Record(topic, 0, 0, event)


def placed(decision: Any, *lines: tuple[UUID, int]) -> OrderPlaced:
    return OrderPlaced(
        order_id=new_id(),
        user_id=new_id(),
        amount_minor=0,
        currency="USD",
        lines=tuple(Line(product_id, "home", units, 0) for product_id, units in lines),
        card="c",
        device_id="d",
        ip="127.0.0.1",
        decision=decision,
    )


def changed(kind: Any, previous: str, *lines: tuple[UUID, int]) -> Any:
    return kind(
        order_id=new_id(),
        user_id=new_id(),
        previous=previous,
        amount_minor=0,
        currency="USD",
        lines=tuple(Line(product_id, "home", units, 0) for product_id, units in lines),
        placed_at=datetime.now(UTC),
    )


async def shown(pool: Pool, stock: int) -> UUID:
    product_id = new_id()
    await pool.execute(
        "INSERT INTO catalog.categories VALUES ('home', 'Home') ON CONFLICT DO NOTHING"
    )
    await pool.execute(
        "INSERT INTO catalog.products (id, sku, name, description, category, price, currency,"
        " stock) VALUES ($1, $2, 'Lamp', '', 'home', 1, 'USD', $3)",
        product_id,
        "L-" + product_id.hex.upper(),
        stock,
    )
    return product_id


async def write(pool: Pool, step: AvailabilityPipeline, *payloads: Payload) -> None:
    results = [step.apply(None, record(payload)) for payload in payloads]
    async with pool.transaction() as conn:
        await step.write(conn, [result for result in results if result is not None])


async def stock(pool: Pool, product_id: UUID) -> int:
    row = await pool.fetchrow(
        "SELECT stock, owed, version FROM catalog.products WHERE id = $1", product_id
    )
    assert row is not None
    assert row["version"] == 1
    return int(row["stock"] - row["owed"])


async def test_each_event_moves_what_it_should(
    pool: Pool, availability: AvailabilityPipeline
) -> None:
    lamp = await shown(pool, 100)
    moves = [
        (placed("approve", (lamp, 1)), -1),
        (placed("review", (lamp, 2)), -2),
        (placed(None, (lamp, 3)), -3),
        (placed("deny", (lamp, 4)), 0),
        (changed(OrderApproved, "in_review", (lamp, 5)), 0),
        (changed(OrderDenied, "in_review", (lamp, 6)), 6),
        (changed(OrderCancelled, "approved", (lamp, 7)), 7),
        (changed(OrderCancelled, "in_review", (lamp, 8)), 8),
    ]
    expected = 100
    for payload, delta in moves:
        await write(pool, availability, payload)
        expected += delta
        assert await stock(pool, lamp) == expected, payload
    await write(pool, availability, *(payload for payload, _ in moves))
    assert await stock(pool, lamp) == 100 + 2 * sum(delta for _, delta in moves)


async def test_unknown_products_and_impossible_lines(
    pool: Pool, availability: AvailabilityPipeline
) -> None:
    lamp = await shown(pool, 5)
    await write(pool, availability, placed("approve", (new_id(), 1), (lamp, 1)))
    assert await stock(pool, lamp) == 4
    with pytest.raises(ValueError, match="impossible"):
        availability.apply(None, record(placed("approve", (lamp, 0))))


async def test_batches_that_touch_the_same_products_do_not_block_each_other(
    pool: Pool, availability: AvailabilityPipeline
) -> None:
    lamps = [await shown(pool, 1000) for _ in range(20)]
    sales = [
        placed("approve", *((lamp, 1) for lamp in lamps[at:] + lamps[:at])) for at in range(20)
    ]
    await asyncio.gather(*(write(pool, availability, sale) for sale in sales))
    assert {await stock(pool, lamp) for lamp in lamps} == {980}


# What happens at the source: units arrive or are lost in the catalog, units are sold or
# returned in orders. None delivers the oldest event waiting for the other side.
_OPS = st.lists(
    st.one_of(
        st.tuples(st.just("warehouse"), st.integers(-8, 8)),
        st.tuples(st.just("sale"), st.integers(1, 5)),
        st.just(("return", 0)),
        st.just(("tell orders", 0)),
        st.just(("tell catalog", 0)),
    ),
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ops=_OPS)
async def test_both_sides_agree_once_all_is_told(
    pool: Pool, availability: AvailabilityPipeline, ops: list[tuple[str, int]]
) -> None:
    catalog, items = Catalog(pool), inventory.InventoryPipeline()
    lamp = await shown(pool, 0)
    for_catalog: deque[Payload] = deque()
    sold: deque[int] = deque()
    told = 0

    async def tell_orders() -> None:
        nonlocal told
        rows = await pool.fetch(
            "SELECT body FROM catalog.outbox WHERE key = $1 ORDER BY seq OFFSET $2 LIMIT 1",
            str(lamp),
            told,
        )
        for row in rows:
            told += 1
            result = items.apply(None, record(decode(row["body"]).payload, "product-updates"))
            assert result is not None
            async with pool.transaction() as conn:
                await items.write(conn, [result])

    async def tell_catalog() -> None:
        if for_catalog:
            await write(pool, availability, for_catalog.popleft())

    net = 0
    for op, number in ops:
        if op == "warehouse":
            await catalog.restock(lamp, number)
            net += number
        elif op == "sale":
            taken = await pool.fetchval(
                "UPDATE orders.items SET stock = stock - $2"
                " WHERE product_id = $1 AND stock >= $2 RETURNING 1",
                lamp,
                number,
            )
            if taken:
                net -= number
                sold.append(number)
                for_catalog.append(placed("approve", (lamp, number)))
        elif op == "return" and sold:
            units = sold.popleft()
            net += units
            await pool.execute(
                "UPDATE orders.items SET stock = greatest(0, stock - owed + $2),"
                " owed = greatest(0, owed - stock - $2) WHERE product_id = $1",
                lamp,
                units,
            )
            for_catalog.append(changed(OrderCancelled, "approved", (lamp, units)))
        elif op == "tell orders":
            await tell_orders()
        elif op == "tell catalog":
            await tell_catalog()
    for _ in ops:
        await tell_orders()
        await tell_catalog()

    seen = await pool.fetchrow(
        "SELECT p.stock AS shown, p.owed AS shown_owed, coalesce(i.stock, 0) AS stock,"
        " coalesce(i.owed, 0) AS owed"
        " FROM catalog.products p LEFT JOIN orders.items i ON i.product_id = p.id"
        " WHERE p.id = $1",
        lamp,
    )
    assert seen is not None
    assert (seen["shown"], seen["shown_owed"]) == (seen["stock"], seen["owed"])
    assert seen["stock"] - seen["owed"] == net
