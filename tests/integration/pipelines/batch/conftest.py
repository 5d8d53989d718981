"""A database of its own: positions here begin at 0, whatever other tests have sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from integration.pipelines.batch.past import Past
from stream_servers import Database, settings_for

from ecap.clients.postgres import open_pool


@pytest.fixture(scope="session")
async def world_of_the_past(database: Database) -> AsyncIterator[Past]:
    async with database.fresh() as name:
        settings = settings_for(database, None, name)
        async with open_pool(settings.postgres, service="test") as pool:
            yield Past(settings, pool)


@pytest.fixture
async def past(world_of_the_past: Past) -> Past:
    await world_of_the_past.forget()
    return world_of_the_past
