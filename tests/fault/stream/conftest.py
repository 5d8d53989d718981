from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

# The servers and the counting pipeline are those of the integration tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "actors"))

from stream_servers import Database, World, open_database, open_world


@pytest.fixture(scope="session")
async def database() -> AsyncIterator[Database]:
    with tempfile.TemporaryDirectory(prefix="ecap-stream-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        async with open_database(Path(folder) / "state") as opened:
            yield opened


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path / "broker") as opened:
        yield opened
