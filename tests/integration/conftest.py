"""A Vault-API server that a test may seal, stop and fill as it likes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from integration.config.bao import Bao, open_bao


@pytest.fixture(scope="session")
async def bao(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bao]:
    async with open_bao(tmp_path_factory.mktemp("bao")) as server:
        yield server
