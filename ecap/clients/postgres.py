"""asyncpg pools, named SQL, and one translation of its errors.

The only module that imports asyncpg; others take `Connection` and `Pool` from here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib import resources
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pydantic import SecretStr

from ecap import metrics
from ecap.config.settings import Postgres
from ecap.errors import DeadlineExceeded, Misconfigured, Unavailable

# A string, because asyncpg.Connection is generic only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Record = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

# Longer than a statement may run by default; what still holds a connection is cut off.
_DRAIN_S = 30.0

_NAME = re.compile(r"^--\s*name:\s*(\w+)\s*$", re.MULTILINE)
_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # What it says between the server's farewell and the end of the connection.
    asyncpg.InternalClientError,
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


class _Opened:
    """One asyncpg pool and how many are using it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, acquire_timeout_s: float) -> None:
        self.pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self._users = 0
        self._left = asyncio.Event()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        # Counted while it waits too: asyncpg fails those who wait on a pool that closes.
        self._users += 1
        try:
            async with self.pool.acquire(timeout=self._acquire_timeout_s) as conn:
                yield conn
        finally:
            self._users -= 1
            self._left.set()

    async def unused(self) -> None:
        while self._users:
            self._left.clear()
            await self._left.wait()


class Pool:
    """A pool that opens lazily, so that a replica starts while PostgreSQL is away.

    `replace` changes user, password and size under load: who holds a connection
    keeps it, the next one comes from the new pool.
    """

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        *,
        service: str,
        settings: Postgres,
        role: str | None = None,
    ) -> None:
        self._opened = _Opened(pool, acquire_timeout_s=settings.acquire_timeout_s)
        self._service = service
        self._settings = settings
        self._role = role
        self._leased: dict[str, object] = {}
        self._refused: Callable[[], Awaitable[None]] | None = None
        self._replacing = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()
        self._wait = metrics.pg_pool_wait_seconds.labels(service)
        self._size = metrics.pg_pool_size.labels(service)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Raises Unavailable when none can be had in time."""
        started = time.perf_counter()
        with translated():
            async with AsyncExitStack() as stack:
                conn = await self._enter(stack)
                self._wait.observe(time.perf_counter() - started)
                self._size.set(self._opened.pool.get_size())
                yield conn

    async def _enter(self, stack: AsyncExitStack) -> Connection:
        opened = self._opened
        try:
            return await stack.enter_async_context(opened.acquire())
        except asyncpg.InvalidPasswordError:
            if self._refused is None:
                raise
        if self._opened is opened:
            await self._refused()
        return await stack.enter_async_context(self._opened.acquire())

    def when_refused(self, renew: Callable[[], Awaitable[None]]) -> None:
        """`renew` brings another user. It is waited for when this one is refused, then the
        log-in is tried once more."""
        self._refused = renew

    async def log_in_as(self, user: str, password: SecretStr, *, drain_s: float) -> None:
        """From now on, whatever user `replace` is given. Raises as `replace` does."""
        before, self._leased = self._leased, {"user": user, "password": password}
        try:
            await self.replace(self._settings, drain_s=drain_s)
        except BaseException:  # the next `replace` must not come with the user that failed
            self._leased = before
            raise

    async def replace(self, settings: Postgres, *, drain_s: float) -> None:
        """Returns when nobody uses the old connections, or cuts them after `drain_s`.

        Raises Misconfigured or Unavailable, and changes nothing, when no connection
        can be had with `settings`. A leased user stays.
        """
        await _drain(await self._switch(settings), drain_s=drain_s)

    async def reconfigure(self, settings: Postgres) -> None:
        """As `replace`, but returns as soon as the new connections are used. With another
        `lease_generation` a leased user is replaced first."""
        if (
            self._refused is not None
            and settings.lease_generation != self._settings.lease_generation
        ):
            with translated():
                await self._refused()
        before = await self._switch(settings)
        task = asyncio.create_task(
            _drain(before, drain_s=_DRAIN_S), name=f"postgres-drain-{self._service}"
        )
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _switch(self, settings: Postgres) -> _Opened:
        async with self._replacing:
            before = await self._swap(settings.model_copy(update=self._leased))
            self._settings = settings
        return before

    async def _swap(self, settings: Postgres) -> _Opened:
        """Answers what was used before."""
        pool = await _prepare(settings, service=self._service, role=self._role)
        opened = _Opened(pool, acquire_timeout_s=settings.acquire_timeout_s)
        try:
            with translated():
                async with opened.acquire() as conn:
                    await conn.fetchval("SELECT 1")
        except BaseException:  # whatever it is: nobody will close this pool later
            pool.terminate()
            raise
        before, self._opened = self._opened, opened
        return before

    async def close(self) -> None:
        draining = list(self._draining)
        for task in draining:
            task.cancel()
        await asyncio.gather(*draining, return_exceptions=True)
        await _close(self._opened.pool)

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

    async def ping(self, *, timeout_s: float = 2.5) -> None:
        """Raises Unavailable."""
        with translated():
            async with asyncio.timeout(timeout_s):
                await self.fetchval("SELECT 1")


@asynccontextmanager
async def open_pool(
    settings: Postgres, *, service: str, role: str | None = None
) -> AsyncIterator[Pool]:
    """Raises Misconfigured when host or password is missing; connects on first use.

    `role` is acted as after the log-in: leased users own nothing themselves.
    """
    pool = Pool(
        await _prepare(settings, service=service, role=role),
        service=service,
        settings=settings,
        role=role,
    )
    try:
        yield pool
    finally:
        await pool.close()


async def _prepare(
    settings: Postgres, *, service: str, role: str | None
) -> asyncpg.Pool[asyncpg.Record]:
    """Opens nothing yet."""
    if settings.host is None:
        raise Misconfigured("postgres.host is not set")
    if settings.password is None:
        raise Misconfigured("postgres.password is not set")
    server_settings = {
        "application_name": f"ecap-{service}",
        "statement_timeout": str(int(settings.statement_timeout_s * 1000)),
    }
    if role is not None:
        server_settings["role"] = role
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
        server_settings=server_settings,
    )
    await pool  # min_size 0
    return pool


async def _close(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _drain(before: _Opened, *, drain_s: float) -> None:
    try:
        async with asyncio.timeout(drain_s):
            await before.unused()
    except (TimeoutError, asyncio.CancelledError) as exc:
        before.pool.terminate()
        if isinstance(exc, asyncio.CancelledError):
            raise
    else:
        await _close(before.pool)
