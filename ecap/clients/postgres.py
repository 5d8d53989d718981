"""asyncpg pools, named SQL, and one translation of its errors.

The only module that imports asyncpg; others take `Connection` and `Pool` from here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ecap import metrics
from ecap.config.settings import Postgres
from ecap.errors import DeadlineExceeded, Misconfigured, Unavailable

# A string, because asyncpg.Connection is generic only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Record = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

_NAME = re.compile(r"^--\s*name:\s*(\w+)\s*$", re.MULTILINE)
_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


def load_queries(package: str, name: str = "queries.sql") -> Mapping[str, str]:
    """The blocks of a SQL file, by the name in `-- name: ...` above each."""
    text = resources.files(package).joinpath(name).read_text()
    parts = _NAME.split(text)
    return {parts[i]: parts[i + 1].strip() for i in range(1, len(parts), 2)}


@contextmanager
def translated() -> Iterator[None]:
    """Foreign errors that mean "PostgreSQL is away" become Unavailable; others fly.

    An error of a lost connection says nothing about whether a commit happened.
    """
    try:
        yield
    except asyncpg.InvalidPasswordError as exc:
        raise Misconfigured("postgres: user or password is refused") from exc
    except asyncpg.QueryCanceledError as exc:
        raise DeadlineExceeded("postgres: statement timeout") from exc
    except _AWAY as exc:
        raise Unavailable(f"postgres: {type(exc).__name__}") from exc
    except TimeoutError as exc:
        raise Unavailable("postgres: no connection in time") from exc


class Pool:
    """A pool that opens lazily, so that a replica starts while PostgreSQL is away."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, service: str, settings: Postgres):
        self._pool = pool
        self._service = service
        self._acquire_timeout_s = settings.acquire_timeout_s
        self._wait = metrics.pg_pool_wait_seconds.labels(service)
        self._size = metrics.pg_pool_size.labels(service)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Raises Unavailable when none can be had in time."""
        started = time.perf_counter()
        with translated():
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as conn:
                self._wait.observe(time.perf_counter() - started)
                self._size.set(self._pool.get_size())
                yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self.connection() as conn, conn.transaction():
            yield conn

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        async with self.connection() as conn:
            return await conn.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        async with self.connection() as conn:
            return await conn.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        async with self.connection() as conn:
            return await conn.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        async with self.connection() as conn:
            return await conn.execute(query, *args)

    async def ping(self, *, timeout_s: float = 1.0) -> None:
        """Raises Unavailable."""
        with translated():
            async with asyncio.timeout(timeout_s):
                await self.fetchval("SELECT 1")


@asynccontextmanager
async def open_pool(settings: Postgres, *, service: str) -> AsyncIterator[Pool]:
    """Raises Misconfigured when host or password is missing; connects on first use."""
    if settings.host is None:
        raise Misconfigured("postgres.host is not set")
    if settings.password is None:
        raise Misconfigured("postgres.password is not set")
    pool = asyncpg.create_pool(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password.get_secret_value(),
        database=settings.database,
        ssl=settings.sslmode,
        min_size=0,
        max_size=settings.pool_max_size,
        max_inactive_connection_lifetime=settings.connection_max_age_s,
        timeout=settings.acquire_timeout_s,
        server_settings={
            "application_name": f"ecap-{service}",
            "statement_timeout": str(int(settings.statement_timeout_s * 1000)),
        },
    )
    await pool  # min_size 0: prepares the pool, opens nothing
    try:
        yield Pool(pool, service=service, settings=settings)
    finally:
        await _close(pool)


async def _close(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()
