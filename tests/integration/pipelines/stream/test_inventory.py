"""What orders sell, from product.upserted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from ecap.actors.stream.pipeline import Pipeline, Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.browsing import ProductViewed
from ecap.domain.events.envelope import new_event
from ecap.domain.events.payload import Payload
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.inventory.pipeline import InventoryPipeline, build


@pytest.fixture
def inventory(settings: Settings) -> InventoryPipeline:
    return build(settings)


def record(payload: Payload) -> Record:
    event = new_event(payload, key="k", producer="catalog", now=datetime.now(UTC))
    return Record("product-updates", 0, 0, event)


def upserted(product_id: UUID, delta: int, **changes: Any) -> ProductUpserted:
    fields: dict[str, Any] = {
        "product_id": product_id,
        "sku": "TEA-1",
        "name": "Tea",
        "category": "grocery",
        "price_minor": 450,
        "currency": "USD",
        "active": True,
        "stock_delta": delta,
        **changes,
    }
    return ProductUpserted(**fields)


async def write(pool: Pool, inventory: InventoryPipeline, *products: ProductUpserted) -> None:
    results = [inventory.apply(None, record(product)) for product in products]
    async with pool.transaction() as conn:
        await inventory.write(conn, [result for result in results if result is not None])


async def item(pool: Pool, product_id: UUID) -> dict[str, Any]:
    row = await pool.fetchrow(
        "SELECT name, price::text, active, stock, owed FROM orders.items WHERE product_id = $1",
        product_id,
    )
    assert row is not None
    return dict(row)


async def test_a_batch_is_applied_in_order(pool: Pool, inventory: InventoryPipeline) -> None:
    tea, pot = new_id(), new_id()
    await write(
        pool,
        inventory,
        upserted(tea, 10),
        upserted(pot, 1, name="Pot", price_minor=999_999_999_999),
        upserted(tea, -3, price_minor=499, name="Green tea"),
        upserted(tea, 0, price_minor=450, active=False, name="Black tea"),
    )
    assert await item(pool, tea) == {
        "name": "Black tea",
        "price": "4.50",
        "active": False,
        "stock": 7,
        "owed": 0,
    }
    assert (await item(pool, pot))["price"] == "9999999999.99"


async def test_what_is_lost_beyond_the_stock_is_owed(
    pool: Pool, inventory: InventoryPipeline
) -> None:
    tea = new_id()
    seen = []
    for delta in (-2, 5, -7, 1, 4, 2**31 - 1, 2**31 - 1, -(2**31 - 1)):
        await write(pool, inventory, upserted(tea, delta))
        found = await item(pool, tea)
        seen.append((found["stock"], found["owed"]))
    most = 2**31 - 1
    assert seen[:5] == [(0, 2), (3, 0), (0, 4), (0, 3), (1, 0)]
    assert seen[5:] == [(most, 0), (most, 0), (0, 0)]


@pytest.mark.parametrize(
    "change",
    [
        {"price_minor": -1},
        {"price_minor": 10**12},
        {"stock_delta": 2**31},
        {"stock_delta": -(2**31)},
        {"name": "x" * 501},
        {"sku": "\x00"},
    ],
)
def test_what_postgresql_would_refuse_is_set_aside(
    inventory: InventoryPipeline, change: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"range|long|NUL"):
        inventory.apply(None, record(upserted(new_id(), 1, **change)))


def test_it_has_no_state_and_no_interest_in_others(inventory: InventoryPipeline) -> None:
    viewed = ProductViewed(session_id="s", product_id=new_id())
    assert inventory.apply(None, record(viewed)) is None
    pipeline: Pipeline[Any, Any] = inventory
    state = pipeline.new_state("product-updates", 0)
    assert pipeline.load("product-updates", 0, pipeline.dump(state)) == state
    with pytest.raises(TypeError):
        pipeline.answer(None, "how many?", now=datetime.now(UTC))
