"""Real servers for the tests that need them, one set for the whole session.

`servers` are PostgreSQL, the Kafka broker, the Vault server and the mail sink,
started from an empty folder in about a second; `settings` points at them.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from free_ports import again_if_taken

from ecap.config import Settings, load
from ecap.local.runtime import Runtime

# The whole system of tests/e2e and tests/fault/system: one for both.
pytest_plugins = ["e2e.plugin"]


@pytest.fixture(scope="session")
def state_dir() -> Iterator[Path]:
    # Not tmp_path: the unprivileged account of PostgreSQL has to reach it.
    with tempfile.TemporaryDirectory(prefix="ecap-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "state"


@pytest.fixture(scope="session")
async def servers(state_dir: Path) -> AsyncIterator[Runtime]:
    from ecap.local.servers import open_servers

    plain: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        yield await again_if_taken(
            lambda: stack.enter_async_context(
                open_servers(
                    load(plain, secrets=False),
                    state_dir,
                    environ=plain,
                    durable=False,
                    beside_others=True,
                )
            )
        )


@pytest.fixture(scope="session")
def settings(servers: Runtime) -> Settings:
    """As a worker sees them: addresses from the environment, secrets from Vault."""
    return load(servers.environ)
