"""A database is brought to the newest schema, or refused whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ecap.clients.migrations import available, migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.errors import Misconfigured
from ecap.local.state.folder import open_state


@pytest.fixture
async def empty(servers: Any, settings: Settings) -> AsyncIterator[Pool]:
    secrets = open_state(Path(servers.state_dir)).secrets
    password = SecretStr((secrets / "postgres_superuser_password").read_text())
    admin = settings.postgres.model_copy(update={"user": "postgres", "password": password})
    there = settings.postgres.model_copy(update={"database": "empty"})
    async with open_pool(admin, service="test") as root:
        await root.execute("CREATE DATABASE empty OWNER ecap")
        try:
            async with open_pool(there, service="test") as pool:
                yield pool
        finally:
            await root.execute("DROP DATABASE empty WITH (FORCE)")


async def test_each_runs_once(empty: Pool) -> None:
    assert await migrate(empty) == [f"{one.schema}/{one.name}" for one in available()]
    assert await migrate(empty) == []


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO public.ecap_migrations VALUES ('auth', '0004_only_sealed.sql', 'x')",
        "UPDATE public.ecap_migrations SET sha256 = 'x' WHERE schema = 'orders'",
    ],
)
async def test_a_database_of_another_version_is_refused_untouched(empty: Pool, change: str) -> None:
    await migrate(empty)
    await empty.execute("DELETE FROM public.ecap_migrations WHERE schema = 'fraud'")
    await empty.execute("DROP SCHEMA fraud CASCADE")
    await empty.execute(change)
    with pytest.raises(Misconfigured, match=r"locally: move \.ecap away"):
        await migrate(empty)
    assert await empty.fetchval("SELECT to_regnamespace('fraud') IS NULL")
