from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from integration.config.config_tables import emptied
from integration.config.kube_namespace import Kube, open_namespace

from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.local.state.runtime import Runtime


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[Kube]:
    async with open_namespace(tmp_path) as namespace:
        yield namespace


@pytest.fixture
def ring(tmp_path: Path) -> FileKeyring:
    store = FileKeyring(tmp_path / "ring", Plain())
    store.save(Keyring([new_key(now=time.time())]), revision=None)
    return store


@pytest.fixture
def hub_environ(tmp_path: Path, servers: Runtime) -> dict[str, str]:
    return {
        **servers.environ,
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(tmp_path / "ring"),
        "ECAP__HUB__FILE_POLL_S": "0.1",
        "ECAP__KEYRING__POLL_S": "0.1",
    }


@pytest.fixture
async def empty(settings: Settings) -> AsyncIterator[Pool]:
    async with open_pool(settings.postgres, service="test") as pool:
        await emptied(pool)
        yield pool
