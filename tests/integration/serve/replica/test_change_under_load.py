"""Changes while requests run: none fails for it, and each takes effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from integration.live_members import Alone, Feed, changed
from integration.serve.serving import serving

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.serve.catalog.routes import api
from ecap.serve.catalog.service import opened
from ecap.serve.replica.replica import build

URL = "/api/v1/catalog/products"
MEMBER = "catalog-0"
PLENTY = {"limits.address.rate_per_s": 1e6, "limits.address.burst": 1e6}
CHANGES: tuple[Mapping[str, Any], ...] = (
    {"postgres.pool_max_size": 2},
    {"limits.address.rate_per_s": 2e6, "limits.lease_s": 0.5},
    {"postgres.pool_max_size": 16, "postgres.acquire_timeout_s": 5.0},
    {"http.request_timeout_s": 20.0, "http.max_body_bytes": 20_000},
    {"postgres.statement_timeout_s": 3.0},
    {"mesh.default.timeout_s": 1.0, "mesh.callees.auth.max_concurrency": 3},
    {"limits.enabled": False},
    {"http.cors.origins": ["*"], "http.gzip_min_bytes": 10},
    {"postgres.connection_max_age_s": 10.0, "limits.enabled": True},
    {"log.level": "WARNING", "auth.clock_skew_s": 1.0},
)


class Live:
    def __init__(self, client: httpx.AsyncClient, feed: Feed, settings: Settings) -> None:
        self.client = client
        self.feed = feed
        self.settings = settings

    async def change(self, **sections: Any) -> None:
        self.settings = changed(self.settings, sections)
        await self.feed.tell(self.settings)


@pytest.fixture
async def live(settings: Settings, pool: Pool) -> AsyncIterator[Live]:
    feed, begin = Feed(), changed(settings, PLENTY)
    edge = build(api, opened, begin, actors=Alone(feed, begin), member=MEMBER)
    async with serving(edge) as client:
        await feed.heard(MEMBER)
        yield Live(client, feed, begin)
        await feed.tell(settings)  # the log level is the process's


@asynccontextmanager
async def load(client: httpx.AsyncClient, answers: Counter[Any]) -> AsyncIterator[None]:
    stop = False

    async def shopper() -> None:
        while not stop:
            try:
                answer = await client.get(URL, params={"limit": 5})
            except httpx.HTTPError as exc:
                answers[repr(exc)] += 1
            else:
                answers[answer.status_code] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(shopper(), name=f"shopper-{number}")
        yield
        stop = True


async def test_no_request_fails_for_a_change(live: Live) -> None:
    answers: Counter[Any] = Counter()
    async with load(live.client, answers):
        for change in CHANGES:
            enough = answers.total() + 40
            await live.change(**change)
            assert live.feed.refusals == {}
            while answers.total() < enough:  # noqa: ASYNC110  the load decides
                await asyncio.sleep(0.01)
    assert set(answers) == {200}, answers
    assert answers.total() > 400


async def test_a_password_that_is_wrong_is_refused_and_nobody_notices(live: Live) -> None:
    answers: Counter[Any] = Counter()
    async with load(live.client, answers):
        await live.change(**{"postgres.user": "nobody_here", "http.max_body_bytes": 20_000})
        assert "postgres" in live.feed.refusals[MEMBER]
        enough = answers.total() + 40
        while answers.total() < enough:  # noqa: ASYNC110  the load decides
            await asyncio.sleep(0.01)
    assert set(answers) == {200}, answers


async def test_each_takes_effect_at_once(live: Live) -> None:
    client = live.client
    few = {"limits.address.rate_per_s": 1, "limits.address.burst": 10}
    await live.change(**few)
    assert 429 in [(await client.get(URL)).status_code for _ in range(30)]
    await live.change(**{"limits.enabled": False})
    assert (await client.get(URL)).status_code == 200
    assert "access-control-allow-origin" not in (await cross(client)).headers
    await live.change(**{"http.cors.origins": ["http://shop"]})
    assert (await cross(client)).headers["access-control-allow-origin"] == "http://shop"


async def cross(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get(URL, headers={"origin": "http://shop"})


async def test_the_pool_has_its_new_size(live: Live, pool: Pool) -> None:
    async def connections() -> int:
        found = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ecap-catalog'"
        )
        return int(found)

    answers: Counter[Any] = Counter()
    async with load(live.client, answers):
        await live.change(**{"postgres.pool_max_size": 1})
        async with asyncio.timeout(20):
            while await connections() != 1:  # noqa: ASYNC110  PostgreSQL decides
                await asyncio.sleep(0.02)
        await live.change(**{"postgres.pool_max_size": 6})
        async with asyncio.timeout(20):
            while await connections() < 3:  # noqa: ASYNC110  PostgreSQL decides
                await asyncio.sleep(0.02)
    assert set(answers) == {200}, answers
