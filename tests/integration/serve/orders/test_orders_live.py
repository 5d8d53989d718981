"""What an operator changes while orders come in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.live_members import Alone, Feed, changed
from integration.serve.orders.test_orders import Customer
from integration.serve.serving import serving
from integration.serve.shopping import OneShard, stocked
from joserfc.jwk import OKPKey

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.serve.orders.placement import CHECKOUT
from ecap.serve.orders.routes import api
from ecap.serve.orders.service import opened
from ecap.serve.replica.process import Process
from ecap.serve.replica.replica import build

Mint = Callable[..., str]


class Live:
    def __init__(self, client: httpx.AsyncClient, feed: Feed, settings: Settings) -> None:
        self.client = client
        self._feed = feed
        self._settings = settings

    async def change(self, **changes: Any) -> None:
        await self._feed.tell(changed(self._settings, changes))
        assert self._feed.refusals == {}


@pytest.fixture
async def live(settings: Settings, pool: Pool, signing_key: OKPKey) -> AsyncIterator[Live]:
    feed = Feed()

    async def jwks() -> Any:
        return {"keys": [signing_key.as_dict(private=False)]}

    @asynccontextmanager
    async def here(process: Process) -> AsyncIterator[Any]:
        process.verifier.ask(jwks)
        async with opened(process, decider=OneShard(settings)) as shop:
            yield shop

    actors = Alone(feed, settings)
    async with serving(build(api, here, settings, actors=actors, member="orders-0")) as client:
        await feed.heard("orders-0")
        yield Live(client, feed, settings)


async def test_bounds_of_an_order(live: Live, pool: Pool, mint: Mint) -> None:
    kettle = await stocked(pool)
    customer = Customer(live.client, mint)
    assert (await customer.order((kettle, 3))).status_code == 201
    await live.change(**{"orders.max_quantity": 2})
    assert (await customer.order((kettle, 3))).status_code == 422
    await live.change(**{"orders.max_quantity": 3})
    assert (await customer.order((kettle, 3))).status_code == 201


async def test_no_new_orders_and_the_old_ones_as_ever(live: Live, pool: Pool, mint: Mint) -> None:
    kettle = await stocked(pool)
    customer = Customer(live.client, mint)
    first = await customer.order((kettle, 1), key="once")
    await live.change(**{"flags.checkout": False})
    closed = await customer.order((kettle, 1))
    assert closed.status_code == 503
    assert int(closed.headers["retry-after"]) > 0
    assert (await customer.order((kettle, 1), key="once")).json() == first.json()
    assert (await customer.get()).status_code == 200
    await live.change(**{"flags.checkout": True})
    assert (await customer.order((kettle, 1))).status_code == 201


async def test_a_share_of_the_customers_may_order(live: Live, pool: Pool, mint: Mint) -> None:
    kettle = await stocked(pool)
    await live.change(**{"flags.checkout": "50%"})
    seen = set()
    for _ in range(20):
        customer = Customer(live.client, mint)
        wanted = 201 if CHECKOUT.on({"checkout": "50%"}, str(customer.id)) else 503
        for _ in range(2):
            assert (await customer.order((kettle, 1))).status_code == wanted
        seen.add(wanted)
    assert seen == {201, 503}
