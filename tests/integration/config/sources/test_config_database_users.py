"""Leased PostgreSQL users: the real database engine, the real database, under load."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.config.bao import Bao
from integration.config.waiting import WITHIN_S, until

from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.secrets.vault.client import DatabaseUser
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.sources.database_users import DatabaseLease, as_user
from ecap.config.sources.source import SourceHealth
from ecap.errors import EcapError, Misconfigured
from ecap.local.state.folder import open_state


@pytest.fixture(scope="session")
async def engine(bao: Bao, servers: Any, settings: Settings) -> str:
    """A role of the database engine that makes members of the application's role."""
    secrets = open_state(Path(servers.state_dir)).secrets
    root = bao.root
    postgres = settings.postgres
    superuser = (secrets / "postgres_superuser_password").read_text()

    def prepare() -> None:
        root.sys.enable_secrets_engine("database")
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@{postgres.host}:{postgres.port}"
        root.secrets.database.configure(
            name="ecap",
            plugin_name="postgresql-database-plugin",
            allowed_roles=["app"],
            connection_url=f"{url}/{postgres.database}?sslmode=disable",
            username="postgres",
            password=superuser,
        )
        root.secrets.database.create_role(
            name="app",
            db_name="ecap",
            creation_statements=[
                "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'"
                f" VALID UNTIL '{{{{expiration}}}}' IN ROLE \"{postgres.user}\"",
            ],
            revocation_statements=['DROP ROLE IF EXISTS "{{name}}"'],
            default_ttl="60s",
            max_ttl="120s",
        )

    await asyncio.to_thread(prepare)
    return "app"


class Keeper:
    """A lease over a pool, with a clock that only the test moves."""

    def __init__(self, pool: Pool, postgres: Postgres) -> None:
        self.pool = pool
        self.postgres = postgres
        self.users: list[DatabaseUser] = []

    async def use(self, user: DatabaseUser) -> None:
        await self.pool.replace(as_user(self.postgres, user), drain_s=10)
        self.users.append(user)


@asynccontextmanager
async def leased(
    bao: Bao, engine: str, settings: Settings, clock: Any
) -> AsyncIterator[tuple[DatabaseLease, Keeper]]:
    postgres = settings.postgres
    session = VaultSession(bao.settings(), clock=clock, rng=random.Random(1))
    async with open_pool(postgres, service="test", role=postgres.user) as pool:
        keeper = Keeper(pool, postgres)
        lease = DatabaseLease(
            session,
            role=engine,
            mount="database",
            use=keeper.use,
            health=SourceHealth("database", wall=lambda: 1.0),
            clock=clock,
            rng=random.Random(1),
        )
        running = asyncio.create_task(lease.run(), name="lease")
        try:
            await until(lambda: bool(keeper.users))
            yield lease, keeper
        finally:
            running.cancel()
            await asyncio.wait({running})


async def test_rotating_under_load_fails_no_query(
    bao: Bao, engine: str, settings: Settings
) -> None:
    clock = asyncio.get_running_loop().time
    async with leased(bao, engine, settings, clock) as (lease, keeper):
        done = 0
        stop = False

        async def load(number: int) -> None:
            nonlocal done
            while not stop:
                if number % 4:
                    assert await keeper.pool.fetchval("SELECT 1") == 1
                else:
                    async with keeper.pool.transaction() as conn:
                        await conn.execute("SELECT pg_sleep(0.01)")
                        assert await conn.fetchval("SELECT current_user") == "ecap"
                done += 1

        async with asyncio.TaskGroup() as group:
            for number in range(24):
                group.create_task(load(number))
            for _ in range(5):
                enough = done + 50
                await lease.rotate(timeout_s=WITHIN_S)
                await until(functools.partial(lambda enough: done >= enough, enough))
            stop = True
        assert done > 250
        assert len({user.username for user in keeper.users}) == 6
        alive = await keeper.pool.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY($1)",
            [user.username for user in keeper.users],
        )
        assert [row["rolname"] for row in alive] == [keeper.users[-1].username]
        logged_in = await keeper.pool.fetchval("SELECT session_user")
        assert logged_in == keeper.users[-1].username


async def test_a_lease_that_was_lost_is_replaced(bao: Bao, engine: str, settings: Settings) -> None:
    now = 0.0
    async with leased(bao, engine, settings, lambda: now) as (lease, keeper):
        first = keeper.users[0]
        bao.root.sys.revoke_lease(lease_id=first.lease_id)
        with pytest.raises(EcapError):
            await lease._session.call(lambda v: v.renew_lease(first.lease_id, increment_s=60))
        await lease.rotate(timeout_s=WITHIN_S)
        assert keeper.users[-1].username != first.username
        assert await keeper.pool.fetchval("SELECT 1") == 1


async def test_a_bad_replacement_changes_nothing(settings: Settings) -> None:
    async with open_pool(settings.postgres, service="test") as pool:
        assert await pool.fetchval("SELECT 1") == 1
        wrong = settings.postgres.model_copy(update={"user": "nobody_here"})
        with pytest.raises(Misconfigured):
            await pool.replace(wrong, drain_s=1)
        assert await pool.fetchval("SELECT 1") == 1


async def test_a_smaller_pool_takes_over_while_the_old_one_is_full(settings: Settings) -> None:
    async with open_pool(settings.postgres, service="test") as pool:
        holding = asyncio.Event()

        async def hold() -> int:
            async with pool.connection() as conn:
                await holding.wait()
                return int(await conn.fetchval("SELECT 7"))

        holders = [asyncio.create_task(hold()) for _ in range(20)]  # some wait for a connection
        await asyncio.sleep(0)
        small = settings.postgres.model_copy(update={"pool_max_size": 1})
        before = pool._opened
        replacing = asyncio.create_task(pool.replace(small, drain_s=WITHIN_S))
        await until(lambda: pool._opened is not before)
        assert await pool.fetchval("SELECT 1") == 1
        holding.set()
        assert await asyncio.gather(*holders) == [7] * 20
        await replacing
        assert await pool.fetchval("SELECT 1") == 1


async def test_another_size_keeps_the_connections_and_is_kept(settings: Settings) -> None:
    """Logging in anew is dear, and all processes would do it in the same moment."""
    async with open_pool(settings.postgres, service="test") as pool:

        async def resize(size: int) -> None:
            await pool.reconfigure(settings.postgres.model_copy(update={"pool_max_size": size}))

        held, most, pids = 0, 0, set()

        async def use() -> None:
            nonlocal held, most
            async with pool.connection() as conn:
                held += 1
                most = max(most, held)
                pids.add(await conn.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.01)"))
                held -= 1

        async def together(users: int) -> int:
            nonlocal most
            most = 0
            await asyncio.gather(*(use() for _ in range(users)))
            return most

        await resize(4)
        assert await together(20) == 4
        first = set(pids)
        await resize(6)
        assert await together(20) == 6
        assert first < pids
        await resize(5)
        assert pool._opened.size == 5  # nobody has to use it for that
        busy = asyncio.gather(*(use() for _ in range(30)))
        await asyncio.sleep(0)
        await resize(2)
        await busy
        assert await together(20) == 2
        assert pool._opened.size == 2
        await resize(3)
        assert await together(20) == 3
        assert len(pids) <= 7


async def test_a_full_pool_grows_for_those_who_wait(settings: Settings) -> None:
    one = settings.postgres.model_copy(update={"pool_max_size": 1})
    async with open_pool(one, service="test") as pool, pool.connection():
        waiting = asyncio.create_task(pool.fetchval("SELECT 7"))
        await asyncio.sleep(0)
        await pool.reconfigure(one.model_copy(update={"pool_max_size": 2}))
        assert await waiting == 7
