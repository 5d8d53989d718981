"""Products to sell, and deciders that are real or in real trouble."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.payload import Payload
from ecap.domain.events.products import ProductUpserted
from ecap.domain.fraud.scoring import ScoreAnswer, ScoreQuestion
from ecap.domain.values.ids import new_id
from ecap.domain.values.money import to_minor
from ecap.pipelines.stream.fraud import pipeline as fraud
from ecap.pipelines.stream.inventory.pipeline import InventoryPipeline


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def record(payload: Payload, *, topic: str = "t", pos: int = 0, key: str = "k") -> Record:
    event = new_event(payload, key=key, producer="tests", now=datetime.now(UTC))
    return Record(topic, 0, pos, event)


async def announce(pool: Pool, *products: ProductUpserted) -> None:
    """What the shard does with a batch of product.upserted."""
    inventory = InventoryPipeline()
    results = [inventory.apply(None, record(product)) for product in products]
    async with pool.transaction() as conn:
        await inventory.write(conn, [result for result in results if result is not None])


def product(
    product_id: UUID | None = None, *, price: str = "19.99", stock: int = 100, **changes: Any
) -> ProductUpserted:
    fields: dict[str, Any] = {
        "product_id": product_id or new_id(),
        "sku": "TEST-1",
        "name": "Kettle",
        "category": "kitchen",
        "price_minor": to_minor(Decimal(price)),
        "currency": "USD",
        "active": True,
        "stock_delta": stock,
        **changes,
    }
    return ProductUpserted(**fields)


async def stocked(pool: Pool, *, price: str = "19.99", stock: int = 100, **changes: Any) -> UUID:
    new = product(price=price, stock=stock, **changes)
    await announce(pool, new)
    return new.product_id


async def stock_of(pool: Pool, product_id: UUID) -> int:
    found = await pool.fetchval("SELECT stock FROM orders.items WHERE product_id = $1", product_id)
    return int(found)


async def events_of(pool: Pool, user_id: UUID | str) -> list[Event]:
    rows = await pool.fetch(
        "SELECT body FROM orders.outbox WHERE key = $1 ORDER BY seq", str(user_id)
    )
    return [decode(row["body"]) for row in rows]


class OneShard:
    """The fraud pipeline's own answers, from one partition in this process."""

    def __init__(self, settings: Settings) -> None:
        self.pipeline = fraud.build(settings)
        self.state = self.pipeline.new_state("transactions", 0)
        self.asked: list[ScoreQuestion] = []

    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        self.asked.append(question)
        return self.pipeline.answer(self.state, question, now=datetime.now(UTC))


class Troubled:
    """A shard that fails as it was told to, or never answers."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def decide(self, question: ScoreQuestion) -> ScoreAnswer:
        if self.error is None:
            await asyncio.Event().wait()
        assert self.error is not None
        raise self.error
