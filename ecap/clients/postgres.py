"""asyncpg pools, and one translation of its errors.

With `ecap.clients.connections` the only module that imports asyncpg; others take
`Connection` and `Pool` from here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from pydantic import SecretStr

from ecap import metrics
from ecap.clients.connections import Connection, Connections, open_connections
from ecap.config.settings.connections.postgres import Postgres
from ecap.errors import DeadlineExceeded, Misconfigured, Unavailable

__all__ = ["Connection"]

Record = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

# Longer than a statement may run by default; what still holds a connection is cut off.
_DRAIN_S = 30.0

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # What it says between the server's farewell and the end of the connection.
    # Missing here it ended the keeper's task once, and nobody stopped the actors of a cluster that
    # had lost the lock.
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


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
    """A pool that opens lazily, so that a replica starts while PostgreSQL is away.

    `replace` changes user, password and size under load: who holds a connection
    keeps it, the next one comes from the new pool.
    """

    def __init__(
        self,
        opened: Connections,
        *,
        service: str,
        settings: Postgres,
        role: str | None = None,
    ) -> None:
        self._opened = opened
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
                self._size.set(self._opened.size)
                yield conn

    async def _enter(self, stack: AsyncExitStack) -> Connection:
        opened = self._opened
        try:
            return await stack.enter_async_context(opened.acquire())
        except asyncpg.InvalidPasswordError:
            if self._refused is None:
                raise
        # Otherwise others have been switched already while this one was refused.
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
            with translated():
                replaced = await self._switch(self._settings)
        except BaseException:  # the next `replace` must not come with the user that failed
            self._leased = before
            raise
        # Outside the lock: a drain takes as long as its slowest user, and no other change may wait
        # for that.
        await replaced.drain(patience_s=drain_s)

    async def replace(self, settings: Postgres, *, drain_s: float) -> None:
        """Returns when nobody uses the old connections, or cuts them after `drain_s`.

        Raises Misconfigured or Unavailable, and changes nothing, when no connection
        can be had with `settings`. A leased user stays; for one that was revoked, the
        next is waited for.
        """
        before = await self._switch_renewed(settings)
        await before.drain(patience_s=drain_s)

    async def reconfigure(self, settings: Postgres) -> None:
        """As `replace`, but returns as soon as the new connections are used. With another
        `lease_generation` a leased user is replaced first. Another size alone keeps the
        connections: if all processes logged in anew at once, all would feel it."""
        async with self._replacing:
            if self._resizes(settings):
                with translated():
                    await self._opened.resize(
                        settings.pool_max_size, acquire_timeout_s=settings.acquire_timeout_s
                    )
                self._settings = settings
                return
        if (
            self._refused is not None
            and settings.lease_generation != self._settings.lease_generation
        ):
            with translated():
                await self._refused()
        before = await self._switch_renewed(settings)
        task = asyncio.create_task(
            before.drain(patience_s=_DRAIN_S), name=f"postgres-drain-{self._service}"
        )
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    def _resizes(self, settings: Postgres) -> bool:
        bounds = {name: getattr(settings, name) for name in ("pool_max_size", "acquire_timeout_s")}
        alike = self._settings.model_copy(update=bounds) == settings
        return alike and self._opened.fits(settings.pool_max_size)

    async def _switch_renewed(self, settings: Postgres) -> Connections:
        with translated():
            user = self._leased
            try:
                return await self._switch(settings)
            except asyncpg.InvalidPasswordError:
                if self._refused is None:
                    raise
            # Without the lock: the new user comes in through `log_in_as`.
            if self._leased is user:
                await self._refused()
            return await self._switch(settings)

    async def _switch(self, settings: Postgres) -> Connections:
        """Answers what was used before."""
        async with self._replacing:
            chosen = settings.model_copy(update=self._leased)
            opened = await open_connections(chosen, service=self._service, role=self._role)
            try:
                # Tried before it is used: what cannot log in must not take the place of what could.
                async with opened.acquire() as conn:
                    await conn.fetchval("SELECT 1")
            except BaseException:  # whatever it is: nobody will close them later
                opened.terminate()
                raise
            before, self._opened = self._opened, opened
            self._settings = settings
        return before

    async def close(self) -> None:
        draining = list(self._draining)
        for task in draining:
            task.cancel()
        await asyncio.gather(*draining, return_exceptions=True)
        await self._opened.close()

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
        await open_connections(settings, service=service, role=role),
        service=service,
        settings=settings,
        role=role,
    )
    try:
        yield pool
    finally:
        await pool.close()
