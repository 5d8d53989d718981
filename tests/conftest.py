"""Real servers for the tests that need them, one set for the whole session.

`servers` are PostgreSQL, the Kafka broker, the Vault server and the mail sink,
started from an empty folder in about a second; `settings` points at them. A `world`
is for a test that needs its own broker and database, or kills them.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from free_ports import again_if_taken
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from ecap.config import Settings, load
from ecap.local.state.runtime import Runtime

# Late: most tests need no server, and are done before it is imported.
if TYPE_CHECKING:
    from stream_servers import Database, World

# Time decides no test. `--hypothesis-profile=thorough` looks ten times as long where a test
# does not say itself how long.
_no_haste: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis.register_profile("ecap", max_examples=50, **_no_haste)
hypothesis.register_profile("thorough", max_examples=500, **_no_haste)
hypothesis.load_profile("ecap")

# The whole system of tests/e2e and tests/fault/system: one for both.
pytest_plugins = ["e2e.plugin"]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Who sets up logging in a test does so for the process: the next one must not notice."""
    ours = logging.getLogger("ecap")
    before = (ours.handlers[:], ours.propagate, ours.level)
    yield
    ours.handlers[:], ours.propagate = before[:2]
    ours.setLevel(before[2])


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    # Not tmp_path: the unprivileged account of PostgreSQL has to reach it.
    with tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
def state_dir() -> Iterator[Path]:
    with _folder("ecap-test-") as folder:
        yield folder / "state"


@pytest.fixture(scope="session")
async def servers(state_dir: Path) -> AsyncIterator[Runtime]:
    from ecap.local.servers.servers import open_servers

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


@pytest.fixture(scope="session")
async def database() -> AsyncIterator[Database]:
    """A PostgreSQL beside that of `servers`."""
    from stream_servers import open_database

    with _folder("ecap-stream-") as folder:
        async with open_database(folder / "state") as opened:
            yield opened


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """An empty database and an empty broker: positions begin at 0."""
    from stream_servers import open_world

    async with open_world(database, tmp_path / "broker") as opened:
        yield opened
