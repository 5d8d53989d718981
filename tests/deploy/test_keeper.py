"""Two clusters on one database: one runs the actors, the other waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.settings.services.deployments import Services
from ecap.errors import Misconfigured
from ecap.runtime.keeper.deployment import refused
from ecap.runtime.keeper.tenure import Keeper

LOOK_S = 0.02


class Cluster:
    """Counts what a keeper asks of it."""

    def __init__(self, pool: Pool) -> None:
        self.running = False
        self.started = 0
        self.keeper = Keeper(pool, start=self.start, stop=self.stop, look_every_s=LOOK_S)

    async def start(self) -> None:
        self.running = True
        self.started += 1

    async def stop(self) -> None:
        self.running = False


@asynccontextmanager
async def cluster(settings: Settings, name: str) -> AsyncIterator[tuple[Cluster, Pool]]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.postgres, service=name))
        one = Cluster(pool)
        task = asyncio.create_task(one.keeper.run(), name=name)
        try:
            yield one, pool
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  PostgreSQL sends no event
            await asyncio.sleep(LOOK_S)


async def test_the_second_waits_for_the_first(settings: Settings) -> None:
    async with cluster(settings, "new-keeper") as (new, _):
        await until(lambda: new.running)
    async with AsyncExitStack() as stack:
        old, _ = await stack.enter_async_context(cluster(settings, "old-keeper"))
        await until(lambda: old.running)
        async with cluster(settings, "new-keeper") as (new, pool):
            for _ in range(5):
                await pool.fetchval("SELECT pg_sleep($1)", 2 * LOOK_S)
            assert not new.running
            await stack.aclose()
            await until(lambda: new.running)


async def test_a_cut_connection_restarts_nothing(settings: Settings) -> None:
    async with cluster(settings, "old-keeper") as (old, pool):
        await until(lambda: old.running)
        before = await holder(pool)
        await _cut(pool, "ecap-old-keeper")
        async with asyncio.timeout(20):
            while await holder(pool) in (None, before):  # noqa: ASYNC110  as above
                await asyncio.sleep(LOOK_S)
        assert old.running
        assert old.started == 1


async def test_whoever_lost_the_lock_stops(settings: Settings) -> None:
    async with cluster(settings, "old-keeper") as (old, _):
        await until(lambda: old.running)
        async with cluster(settings, "new-keeper") as (new, pool):
            while not new.running:
                await _cut(pool, "ecap-old-keeper")
                await asyncio.sleep(0)
            await until(lambda: not old.running)
            assert new.running


async def test_a_refusal_to_start_ends_it(settings: Settings) -> None:
    async def start() -> None:
        raise Misconfigured("no key")

    async with open_pool(settings.postgres, service="keeper") as pool:
        one = Cluster(pool)
        with pytest.raises(Misconfigured):
            await Keeper(pool, start=start, stop=one.stop, look_every_s=LOOK_S).run()


async def _cut(pool: Pool, name: str) -> None:
    await pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = $1 AND pid <> pg_backend_pid()",
        name,
    )


async def holder(pool: Pool) -> int | None:
    """The server process that has the lock."""
    found: int | None = await pool.fetchval(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    )
    return found


def test_what_kuberay_owns_is_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match=r"services\.\*: on a cluster KubeRay owns"):
        refused(Services())
