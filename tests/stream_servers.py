"""A broker and a PostgreSQL of a test's own, to be killed at will."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from free_ports import on_a_free_port

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings, load
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.local.servers.kafka import Kafka
from ecap.local.servers.postgres import SUPERUSER, Postgres
from ecap.local.state.folder import StateDir, open_state, write_private

_NAMES = iter(range(10_000))

APPLIED = """
CREATE TABLE applied (
    seq bigint GENERATED ALWAYS AS IDENTITY, shard text NOT NULL,
    topic text NOT NULL, partition int NOT NULL, pos bigint NOT NULL,
    event_id uuid NOT NULL, key text NOT NULL, amount bigint NOT NULL, total bigint NOT NULL)
"""


class Broker:
    """Killed and started again it is empty: it keeps everything in memory."""

    def __init__(self, state: StateDir, port: int) -> None:
        self.port = port
        self._server = Kafka(state, port=port)
        self._pid = 0

    @classmethod
    async def started(cls, state: StateDir) -> Broker:
        async def start(port: int) -> Broker:
            broker = cls(state, port)
            await broker.start()
            return broker

        return await on_a_free_port(start)

    async def start(self) -> None:
        self._pid = (await self._server.start()).pid

    async def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        await self._server.stop()


class Database:
    """One server for all tests that kill it, a database for each of them."""

    def __init__(self, state: StateDir, port: int) -> None:
        self.port = port
        self.password = state.secrets / "password"
        self.keyring = state.secrets / "keyring"
        self._superuser = state.secrets / "superuser"
        for path in (self.password, self._superuser):
            write_private(path, b"only-for-tests")
        self._server = Postgres(
            state,
            port=port,
            user="ecap",
            database="ecap",
            password_file=self.password,
            superuser_password_file=self._superuser,
            durable=False,
        )
        self._pid = 0

    @classmethod
    async def started(cls, state: StateDir) -> Database:
        async def start(port: int) -> Database:
            database = cls(state, port)
            await database.start()
            return database

        return await on_a_free_port(start)

    async def start(self) -> None:
        self._pid = (await self._server.start()).pid

    async def stop(self) -> None:
        await self._server.stop()

    async def crash(self) -> None:
        """SIGQUIT is PostgreSQL's own immediate shutdown: no checkpoint, recovery at start."""
        os.kill(self._pid, signal.SIGQUIT)
        await self._server.stop()

    async def admin(self, statement: str) -> None:
        conn = await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password="only-for-tests",
            database="postgres",
        )
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        name = f"test_{next(_NAMES)}"
        await self.admin(f"CREATE DATABASE {name} OWNER ecap TEMPLATE ecap")
        try:
            yield name
        finally:
            await self.admin(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def open_database(folder: Path) -> AsyncIterator[Database]:
    state = open_state(folder)
    state.create()
    database = await Database.started(state)
    FileKeyring(database.keyring, Plain()).save(Keyring([new_key(now=0)]), revision=None)
    try:
        # The migrated database is the template of every test's own.
        async with open_pool(settings_for(database, None, "ecap").postgres, service="test") as pool:
            await migrate(pool)
            await pool.execute(APPLIED)
        yield database
    finally:
        await database.stop()


def environ_for(database: Database, broker: Broker | None, name: str) -> dict[str, str]:
    environ = {
        "ECAP__POSTGRES__HOST": "127.0.0.1",
        "ECAP__POSTGRES__PORT": str(database.port),
        "ECAP__POSTGRES__DATABASE": name,
        "ECAP__POSTGRES__PASSWORD": f"file:{database.password}",
        "ECAP__SECRETS__FOLDERS": f"[{database.password.parent}]",
        "ECAP__POSTGRES__SSLMODE": "disable",
        "ECAP__KEYRING__SOURCE": "file",
        "ECAP__KEYRING__FILE": str(database.keyring),
        "ECAP__STREAM__LEASE_TTL_S": "1.5",
        "ECAP__STREAM__HEARTBEAT_S": "0.2",
        "ECAP__STREAM__SNAPSHOT_EVERY_S": "0.5",
        "ECAP__OUTBOX__AUDIT_EVERY_S": "0.3",
    }
    if broker:
        environ["ECAP__KAFKA__BOOTSTRAP_SERVERS"] = f"127.0.0.1:{broker.port}"
    return environ


def settings_for(database: Database, broker: Broker | None, name: str, **more: str) -> Settings:
    return load({**environ_for(database, broker, name), **more})


class World:
    """One test's database and broker."""

    def __init__(self, database: Database, broker: Broker, name: str, pool: Pool) -> None:
        self.database = database
        self.broker = broker
        self.name = name
        self.pool = pool

    def environ(self, **more: str) -> dict[str, str]:
        return {**environ_for(self.database, self.broker, self.name), **more}

    def settings(self, **more: str) -> Settings:
        return load(self.environ(**more))


@asynccontextmanager
async def open_world(database: Database, folder: Path) -> AsyncIterator[World]:
    state = open_state(folder)
    state.create()
    broker = await Broker.started(state)
    try:
        async with database.fresh() as name:
            settings = settings_for(database, broker, name)
            async with open_pool(settings.postgres, service="test") as pool:
                yield World(database, broker, name, pool)
    finally:
        with contextlib.suppress(ProcessLookupError):
            await broker.kill()


class Child:
    """An actor in a process of its own (see stream_child.py)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *argv: str, environ: Mapping[str, str]) -> Child:
        script = Path(__file__).parent / "integration" / "actors" / "stream_child.py"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            *argv,
            env={**os.environ, **environ, "PYTHONPATH": str(Path(__file__).parent)},
        )
        return cls(process)

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return await self._process.wait()

    @property
    def running(self) -> bool:
        return self._process.returncode is None
