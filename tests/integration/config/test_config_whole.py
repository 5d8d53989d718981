"""Everything together but Ray: files, Vault and PostgreSQL on one side, members on the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from integration.config.bao import Bao
from integration.config.config_tables import emptied
from integration.config.waiting import until

from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import open_pool
from ecap.config import Settings
from ecap.config.hub.hub import Hub
from ecap.config.layers.overrides import Edit
from ecap.config.member.member import Member
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.sources.origins import Origins, open_origins
from ecap.config.sources.source import feed
from ecap.local.state.runtime import Runtime


@pytest.fixture
def environ(tmp_path: Path, servers: Runtime, bao: Bao) -> dict[str, str]:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "base.yaml").write_text("smtp: {password: 'vault:whole/smtp#password'}\n")
    (folder / "development.yaml").write_text("orders: {max_lines: 20}\n")
    FileKeyring(tmp_path / "ring", Plain()).save(Keyring([new_key(now=0)]), revision=None)
    bao.put("whole/smtp", password="one")
    bao.put("whole/config", **{"orders.max_quantity": "30"})
    vault = bao.settings()
    return {
        **{k: v for k, v in servers.environ.items() if not v.startswith(("vault:", "["))},
        "ECAP_CONFIG_DIR": str(folder),
        "ECAP__VAULT__ADDRESS": str(vault.address),
        "ECAP__VAULT__ROLE_ID": str(vault.role_id),
        "ECAP__VAULT__SECRET_ID_FILE": str(vault.secret_id_file),
        "ECAP__VAULT__CONFIG_PATH": "whole/config",
        "ECAP__VAULT__POLL_S": "0.05",
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(tmp_path / "ring"),
    }


@asynccontextmanager
async def running(
    environ: dict[str, str], settings: Settings, members: int
) -> AsyncIterator[tuple[Hub, list[Member], Origins]]:
    clock = asyncio.get_running_loop().time
    async with (
        open_pool(settings.postgres, service="test") as pool,
        open_origins(environ, clock=clock, wall=time.time, rng=random.Random(1)) as origins,
    ):
        await emptied(pool)
        hub = Hub(
            history=PostgresHistory(pool),
            keys=origins.keyring,
            secrets=origins.secrets,
            environ=environ,
            given=origins.given,
            boot_id="one",
            clock=clock,
            wall=time.time,
        )
        joined = [
            Member(f"m{n}", kind="actor", settings=origins.settings, link=hub, clock=clock)
            for n in range(members)
        ]
        tasks = [
            asyncio.create_task(hub.run(), name="hub"),
            asyncio.create_task(feed(hub, origins.sources), name="feed"),
            *(asyncio.create_task(member.run(), name=member.name) for member in joined),
        ]
        try:
            for member in joined:
                await member.joined(timeout_s=30)
            yield hub, joined, origins
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_every_source_reaches_every_member(
    environ: dict[str, str], settings: Settings, bao: Bao, tmp_path: Path
) -> None:
    async with running(environ, settings, 3) as (hub, members, origins):
        first = members[0].settings
        assert (first.orders.max_lines, first.orders.max_quantity) == (20, 30)
        assert first.smtp.password is not None
        assert first.smtp.password.get_secret_value() == "one"

        file = tmp_path / "configs" / "development.yaml"
        file.write_text("orders: {max_lines: 21}\n")
        await until(lambda: all(m.settings.orders.max_lines == 21 for m in members))

        bao.put("whole/config", **{"orders.max_quantity": "31"})
        await until(lambda: all(m.settings.orders.max_quantity == 31 for m in members))

        bao.put("whole/smtp", password="two")
        await until(lambda: all(password(m) == "two" for m in members))

        await hub.edit(Edit({"orders.max_lines": 5}), author="ann", reason="test")
        assert {m.settings.orders.max_lines for m in members} == {5}

        await hub.edit(Edit(unsets=("orders.max_lines",)), author="ann", reason="test")
        file.write_text("orders: {max_lines: 0}\n")
        health = next(s.health for s in origins.sources if s.health.name == "files")
        await until(lambda: health.refused is not None)
        assert "development.yaml:1: orders.max_lines" in str(health.refused)
        assert {m.settings.orders.max_lines for m in members} == {21}
        file.write_text("orders: {max_lines: 22}\n")
        await until(lambda: all(m.settings.orders.max_lines == 22 for m in members))
        await until(lambda: health.refused is None)


def password(member: Member) -> str | None:
    found = member.settings.smtp.password
    return None if found is None else found.get_secret_value()
