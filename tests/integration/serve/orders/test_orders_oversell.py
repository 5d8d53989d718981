"""Laws of stock and money, whatever many customers do at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from integration.serve.shopping import OneShard, bearer, events_of, stock_of, stocked

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.orders import OrderCancelled, OrderPlaced
from ecap.domain.values.ids import new_id
from ecap.serve.orders.routes import api
from ecap.serve.orders.service import opened

Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
Mint = Callable[..., str]
URL = "/api/v1/orders"


@pytest.fixture(scope="module")
async def shop(
    replica: Replica, settings: Settings, pool: Pool
) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(api, partial(opened, decider=OneShard(settings))) as client:
        yield client


class Shopper:
    """Orders at random, cancels some, and repeats requests under their key."""

    def __init__(self, client: httpx.AsyncClient, mint: Mint, seed: int) -> None:
        self.id = new_id()
        self.client = client
        self.headers = bearer(mint("customer", subject=str(self.id)))
        self.random = random.Random(seed)

    async def shop(self, products: list[UUID], orders: int) -> None:
        for _ in range(orders):
            chosen = self.random.sample(products, self.random.randint(1, len(products)))
            lines = [
                {"product_id": str(one), "quantity": self.random.randint(1, 3)} for one in chosen
            ]
            answer = await self._place(lines, key=str(new_id()))
            if answer.status_code == 201 and self.random.random() < 0.3:
                path = f"{URL}/{answer.json()['id']}/cancel"
                cancelled = await self.client.post(path, json={}, headers=self.headers)
                assert cancelled.status_code in (200, 409), cancelled.text

    async def _place(self, lines: list[dict[str, Any]], *, key: str) -> httpx.Response:
        body = {
            "lines": lines,
            "payment": {"card_token": "tok_visa"},
            "device": {"id": "phone"},
        }
        headers = {**self.headers, "idempotency-key": key}
        answer = await self.client.post(URL, json=body, headers=headers)
        assert answer.status_code in (201, 409), answer.text
        if self.random.random() < 0.2:
            again = await self.client.post(URL, json=body, headers=headers)
            assert (again.status_code, again.content) == (201, answer.content) or (
                answer.status_code == 409
            )
            return again
        return answer


# Without shrinking: what many do at once does not fail twice in the same way.
@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    stocks=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    cents=st.integers(0, 9_999),
    seed=st.integers(0, 2**32),
)
async def test_nothing_is_sold_that_is_not_there_and_no_cent_is_lost(
    shop: httpx.AsyncClient, mint: Mint, pool: Pool, stocks: list[int], cents: int, seed: int
) -> None:
    price = str(Decimal(cents).scaleb(-2))
    products = [await stocked(pool, price=price, stock=stock) for stock in stocks]
    shoppers = [Shopper(shop, mint, seed + at) for at in range(12)]
    await asyncio.gather(*(one.shop(products, 3) for one in shoppers))

    held: Counter[UUID] = Counter()
    worth = 0
    for one in shoppers:
        for event in await events_of(pool, one.id):
            order = event.payload
            if isinstance(order, OrderPlaced) and order.decision != "deny":
                held.update({line.product_id: line.quantity for line in order.lines})
                worth += order.amount_minor
            elif isinstance(order, OrderCancelled):
                held.subtract({line.product_id: line.quantity for line in order.lines})
                worth -= order.amount_minor
    for product_id, stock in zip(products, stocks, strict=True):
        left = await stock_of(pool, product_id)
        assert left >= 0
        assert left == stock - held[product_id]
    # Events and rows tell the same story, to the cent.
    rows = await pool.fetchrow(
        "SELECT coalesce(sum(amount), 0) AS amount,"
        " coalesce(sum((SELECT sum(quantity * unit_price) FROM orders.lines WHERE order_id = id)),"
        " 0) AS lines FROM orders.orders"
        " WHERE user_id = ANY($1) AND status IN ('approved', 'in_review')",
        [one.id for one in shoppers],
    )
    assert rows is not None
    assert rows["amount"] == rows["lines"] == Decimal(worth).scaleb(-2)


async def test_the_last_unit_is_sold_once(shop: httpx.AsyncClient, mint: Mint, pool: Pool) -> None:
    last = await stocked(pool, price="5.00", stock=1)
    shoppers = [Shopper(shop, mint, at) for at in range(30)]
    lines = [{"product_id": str(last), "quantity": 1}]
    answers = await asyncio.gather(*(one._place(lines, key="k") for one in shoppers))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 29}
    assert await stock_of(pool, last) == 0
