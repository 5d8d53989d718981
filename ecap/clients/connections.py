"""One asyncpg pool, and who is using it: so that it can be given up without failing them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ecap.config.settings.connections.postgres import Postgres
from ecap.errors import Misconfigured

# A string, because asyncpg.Connection is generic only in its stubs.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

_CLOSE_S = 5.0
# For who gets a place in the last moment: enough to take a connection that is there.
_LEAST_S = 0.01
# What a pool may grow to without logging in anew.
_MOST = 64


class Connections:
    """At most `size` at a time. asyncpg's own bound cannot be changed, so it is above that."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], *, size: int, acquire_timeout_s: float
    ) -> None:
        self._pool = pool
        self._size = size
        self._acquire_timeout_s = acquire_timeout_s
        self._free = asyncio.Semaphore(size)
        self._owed = 0  # places that are gone when who has them leaves
        self._users = 0
        self._left = asyncio.Event()

    @property
    def size(self) -> int:
        return self._pool.get_size()

    def fits(self, size: int) -> bool:
        return size <= self._pool.get_max_size()

    async def resize(self, size: int, *, acquire_timeout_s: float) -> None:
        """From now on; who has a connection keeps it. Idle ones that are too many are closed."""
        self._acquire_timeout_s = acquire_timeout_s
        more, self._size = size - self._size, size
        self._owed += max(-more, 0)
        for _ in range(max(more, 0)):
            self._leave()
        # Not locked, so none of this waits: free places go now, the others when whoever has them
        # leaves.
        while self._owed and not self._free.locked():
            await self._free.acquire()
            self._owed -= 1
        for _ in range(min(self._pool.get_size() - size, self._pool.get_idle_size())):
            # Of a server that is away nothing is left to close.
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with self._pool.acquire(timeout=acquire_timeout_s) as conn:
                    conn.terminate()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Raises TimeoutError after `acquire_timeout_s`, for a place and a connection together."""
        # Counted while it waits too: asyncpg fails those who wait on a pool that closes.
        self._users += 1
        try:
            left_s = await self._enter()
            try:
                async with self._pool.acquire(timeout=left_s) as conn:
                    yield conn
                    if self._pool.get_size() > self._size:
                        # Not `close`, which waits and may fail: this user has what it came for.
                        conn.terminate()
            finally:
                # When the connection is back: who gets the place before that would find none and
                # open another.
                self._leave()
        finally:
            self._users -= 1
            self._left.set()

    async def _enter(self) -> float:
        """Answers what is left of the time."""
        timeout_s = self._acquire_timeout_s
        if not self._free.locked():
            await self._free.acquire()
            return timeout_s
        clock = asyncio.get_running_loop().time
        began_s = clock()
        async with asyncio.timeout(timeout_s):
            await self._free.acquire()
        return max(_LEAST_S, timeout_s - (clock() - began_s))

    def _leave(self) -> None:
        if self._owed:
            self._owed -= 1
        else:
            self._free.release()

    async def drain(self, *, patience_s: float) -> None:
        """Closed when nobody uses it any more, cut off when that takes longer."""
        try:
            async with asyncio.timeout(patience_s):
                await self._unused()
        except (TimeoutError, asyncio.CancelledError) as exc:
            # Also when cancelled: nobody else knows of these connections any more.
            self.terminate()
            if isinstance(exc, asyncio.CancelledError):
                raise
        else:
            await self.close()

    async def _unused(self) -> None:
        while self._users:
            # No await between the look and the wait: nobody leaves in between, unheard.
            self._left.clear()
            await self._left.wait()

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pool.close()
        except TimeoutError:
            self.terminate()

    def terminate(self) -> None:
        self._pool.terminate()


async def open_connections(settings: Postgres, *, service: str, role: str | None) -> Connections:
    """Opens none yet. Raises Misconfigured when host or password is missing."""
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
        max_size=max(settings.pool_max_size, _MOST),
        max_inactive_connection_lifetime=settings.connection_max_age_s,
        timeout=settings.acquire_timeout_s,
        server_settings=server_settings,
    )
    await pool  # min_size 0
    return Connections(
        pool, size=settings.pool_max_size, acquire_timeout_s=settings.acquire_timeout_s
    )
