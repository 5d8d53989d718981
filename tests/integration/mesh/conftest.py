from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from integration.mesh.desk import App, Desk, serving

from ecap.mesh.http import open_session


@pytest.fixture(scope="session")
async def app_and_address() -> AsyncIterator[tuple[App, str]]:
    app = App()
    async with serving(app) as address:
        yield app, address


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def address(desk: Desk, app_and_address: tuple[App, str]) -> str:
    """Where `desk` answers over HTTP."""
    app, address = app_and_address
    app.desk = desk
    return address


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened
