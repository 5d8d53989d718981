"""A database of its own: positions here begin at 0, whatever other tests have sent."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# The server of the integration tests of the stream.
sys.path.insert(0, str(Path(__file__).parents[1] / "actors"))

from past import Past
from stream_servers import open_database, settings_for

from ecap.clients.postgres import open_pool


@pytest.fixture(scope="session")
def batch_folder() -> Iterator[Path]:
    # Not tmp_path: the unprivileged account of PostgreSQL has to reach it.
    with tempfile.TemporaryDirectory(prefix="ecap-batch-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
async def world_of_the_past(batch_folder: Path) -> AsyncIterator[Past]:
    async with open_database(batch_folder / "state") as database, database.fresh() as name:
        settings = settings_for(database, None, name)
        async with open_pool(settings.postgres, service="test") as pool:
            yield Past(settings, pool)


@pytest.fixture
async def past(world_of_the_past: Past) -> Past:
    await world_of_the_past.forget()
    return world_of_the_past
