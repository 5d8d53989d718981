"""A second start continues with the data, the secrets and the ports of the first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from ecap.config import Settings, load
from ecap.config.sources import startup
from ecap.errors import Conflict, Misconfigured
from ecap.local.servers.servers import open_servers
from ecap.local.state import runtime
from ecap.local.state.folder import open_state


def plain() -> Settings:
    return load({}, secrets=False)


@pytest.fixture
def root() -> Iterator[Path]:
    """Where PostgreSQL's own account can reach it, in a path with a space."""
    with tempfile.TemporaryDirectory(prefix="ecap test ", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / ".ecap"


async def connect(settings: Settings) -> asyncpg.Connection[asyncpg.Record]:
    postgres = settings.postgres
    assert postgres.password is not None
    return await asyncpg.connect(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        database=postgres.database,
        password=postgres.password.get_secret_value(),
    )


async def test_a_second_start_continues(root: Path) -> None:
    async with open_servers(plain(), root, environ={}, beside_others=True) as first:
        before = load(first.environ)
        connection = await connect(before)
        assert await connection.fetchval("show fsync") == "on"
        await connection.execute("create table kept as select 42 as answer")
        await connection.close()
        with pytest.raises(Conflict):
            async with open_servers(plain(), root, environ={}, beside_others=True):
                pass
    stopped = runtime.read(open_state(root))
    assert stopped is not None
    assert stopped.owner is None
    assert stopped.servers == ()
    async with open_servers(plain(), root, environ={}, beside_others=True) as second:
        after = load(second.environ)
        connection = await connect(after)
        assert await connection.fetchval("select answer from kept") == 42
        await connection.close()
    assert second.ports == first.ports
    assert startup.keyring(second.environ).keys == startup.keyring(first.environ).keys
    assert after.mesh.service_key == before.mesh.service_key


async def test_only_what_has_no_address_is_started(root: Path) -> None:
    elsewhere = {
        "ECAP__POSTGRES__HOST": "db.example",
        "ECAP__KAFKA__BOOTSTRAP_SERVERS": "kafka.example:9098",
        "ECAP__SMTP__HOST": "smtp.example",
        "ECAP__MESH__SERVICE_KEY": "from the user",
    }
    settings = load(elsewhere, secrets=False)
    async with open_servers(
        settings, root, environ=elsewhere, durable=False, beside_others=True
    ) as found:
        assert [server.name for server in found.servers] == ["vault"]
        workers = load({**elsewhere, **found.environ})
    assert workers.postgres.host == "db.example"
    assert workers.kafka.bootstrap_servers == "kafka.example:9098"
    assert workers.mesh.service_key is not None
    assert workers.mesh.service_key.get_secret_value() == "from the user"
    assert startup.keyring(found.environ).primary


async def test_data_of_another_version_is_refused(root: Path) -> None:
    data = root / "data" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(Misconfigured, match="written by PostgreSQL 17"):
        async with open_servers(plain(), root, environ={}, durable=False, beside_others=True):
            pass
