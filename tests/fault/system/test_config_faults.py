"""The hub is killed in each phase of a change, and members beside it: at the end all run
one version, and no change is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
from e2e.configuring import Operator
from e2e.people import Person, hire
from e2e.system import System, until

from ecap.actors.hub_link import CONFIG
from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool
from ecap.config.hub.history import verify
from ecap.local.up import SERVICES
from ecap.runtime import roster

# Each shard of the pipeline has a check of its own for it, so it is asked.
KEY = "fraud.review_score"
_LAST = "SELECT kind FROM config.history ORDER BY seq DESC LIMIT 1"
# What stands still keeps the change in its phase until the hub is dead.
BYSTANDER = "fraud-0"


@pytest.fixture(scope="module")
async def somebody(admin: Person) -> Operator:
    return Operator(await hire(admin, "operator"))


@pytest.fixture
async def operator(somebody: Operator, system: System, books: Pool) -> AsyncIterator[Operator]:
    await somebody.agreed(members=everybody(system))
    yield somebody
    await somebody.agreed(members=everybody(system))
    await somebody.unset(KEY)
    verify(await PostgresHistory(books).entries())


def everybody(system: System) -> int:
    return len(SERVICES) + len(roster.names(system.settings)) - 1  # the hub is no member


async def phase(books: Pool, kind: str) -> None:
    async def there() -> bool:
        return bool(await books.fetchval(_LAST) == kind)

    await until(there, what=f"the phase {kind}")


async def kill_hub(system: System) -> None:
    pid = await until(lambda: system.actor(CONFIG))
    system.kill(pid)

    async def another() -> bool:
        return await system.actor(CONFIG) not in (None, pid)

    await until(another, what="another hub")


async def taken(operator: Operator, value: int) -> None:
    async def there() -> bool:
        return bool(await operator.value(KEY) == value)

    await until(there, what=f"{KEY} = {value}")


async def test_the_hub_dies_while_members_are_asked(
    system: System, operator: Operator, books: Pool
) -> None:
    still = await until(lambda: system.actor(BYSTANDER))
    system.kill(still, signal.SIGSTOP)
    try:
        change = asyncio.create_task(operator.set(KEY, 31))
        await phase(books, "proposed")
        await kill_hub(system)
    finally:
        system.kill(still, signal.SIGCONT)
    assert (await change).status_code == 503
    await taken(operator, 31)


async def test_the_hub_dies_during_the_canary(
    system: System, operator: Operator, books: Pool
) -> None:
    canary = {"members": ["relay"], "bake_s": 2.0}
    change = asyncio.create_task(operator.set(KEY, 32, canary=canary))
    await phase(books, "canary")
    await kill_hub(system)
    assert (await change).status_code == 503
    # Undone, because nobody watched the canary; then tried again from the start.
    await taken(operator, 32)
    kinds = [entry["what"] for entry in await operator.newest(12)]
    assert kinds.count("canary") == 2
    assert "rolled-back" in kinds


async def test_the_hub_dies_before_all_have_acknowledged(
    system: System, operator: Operator, books: Pool
) -> None:
    canary = {"members": ["relay"], "bake_s": 1.0}
    still = await until(lambda: system.actor(BYSTANDER))
    change = asyncio.create_task(operator.set(KEY, 33, canary=canary))
    await phase(books, "canary")
    system.kill(still, signal.SIGSTOP)  # it has said yes, and will not take it
    try:
        await phase(books, "applied")
        await kill_hub(system)
    finally:
        system.kill(still, signal.SIGCONT)
    assert (await change).status_code == 503
    await taken(operator, 33)
    assert [entry["what"] for entry in await operator.newest(12)].count("canary") >= 1


async def test_a_member_dies_after_it_has_said_yes(
    system: System, operator: Operator, books: Pool
) -> None:
    canary = {"members": ["relay"], "bake_s": 1.0}
    change = asyncio.create_task(operator.set(KEY, 34, canary=canary))
    await phase(books, "canary")
    system.kill(await until(lambda: system.actor(BYSTANDER)))
    (replica,) = system.replicas("users")
    system.kill(replica)
    answer = await change
    assert answer.status_code == 200, answer.text
    await operator.agreed(members=everybody(system))
    assert await operator.value(KEY) == 34


async def test_everybody_serves_while_the_hub_is_away(
    system: System, operator: Operator, door: httpx.AsyncClient
) -> None:
    await operator.set(KEY, 35)
    pid = await until(lambda: system.actor(CONFIG))
    system.kill(pid, signal.SIGSTOP)
    try:
        for service in SERVICES:
            path = "" if service == "gateway" else f"/api/v1/{service}"
            assert (await door.get(f"{path}/readyz")).status_code == 200, service
    finally:
        system.kill(pid)
    await operator.agreed(members=everybody(system))
    assert await operator.value(KEY) == 35
