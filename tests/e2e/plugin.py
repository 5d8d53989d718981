"""What the tests of the whole system share: one `ecap up`, and its story when a test fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest

_system = pytest.StashKey[Any]()

# Imports are late in here: the unit tests load this file too and need none of it.


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[Any]:
    from e2e.system import running

    with running() as found:
        request.config.stash[_system] = found
        yield found


@pytest.fixture(scope="session")
async def door(system: Any) -> AsyncIterator[Any]:
    """A client of the front door."""
    import httpx

    async with httpx.AsyncClient(base_url=system.url, timeout=60.0) as client:
        yield client


@pytest.fixture(scope="session")
async def books(system: Any) -> AsyncIterator[Any]:
    """What PostgreSQL itself says, past all services."""
    from ecap.clients.postgres import open_pool

    async with open_pool(system.settings.postgres, service="tests") as pool:
        yield pool


@pytest.fixture(scope="session")
async def admin(system: Any, door: Any) -> Any:
    from e2e.people import administrator

    auth = system.settings.auth
    password = auth.admin_password.get_secret_value()
    return await administrator(door, email=auth.admin_email, password=password)


@pytest.fixture(scope="session")
async def analyst(admin: Any) -> Any:
    from e2e.people import hire

    return await hire(admin, "analyst")


@pytest.fixture(scope="session")
async def shelf(system: Any) -> Any:
    """What is for sale."""
    import asyncio

    from ecap.demo.shoppers import catalog
    from ecap.demo.shoppers.door import open_door
    from ecap.demo.shoppers.latency import Meter

    async with open_door(system.url, meter=Meter(), closing=asyncio.Event()) as found:
        return await catalog.shelf(found, currency=system.settings.orders.currency)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that need the whole come last, so that it disturbs nobody else."""
    items.sort(key=_needs_the_system)


def _needs_the_system(item: pytest.Item) -> bool:
    return "system" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    found = item.config.stash.get(_system, None)
    if report.failed and found is not None and _needs_the_system(item):
        (found.folder / "keep").touch()
        report.sections.append((f"ecap up in {found.folder}", found.story()))
    return report
