from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# The servers and the counting pipeline are those of the integration tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "actors"))

from stream_servers import Database, World, open_database, open_world


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not tmp_path: the unprivileged account of PostgreSQL has to reach it.
    with tempfile.TemporaryDirectory(prefix="ecap-stream-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
async def database(folder: Path) -> AsyncIterator[Database]:
    async with open_database(folder / "state") as opened:
        yield opened


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path / "broker") as opened:
        yield opened
