"""Who runs the actors of a database, when two clusters share it.

Shards take their partitions back by name, at once. During an upgrade the old and the
new cluster both have a `fraud-0`, and would take them from each other without end: no
event would be applied twice, because every commit is fenced, but few would be applied.
So whoever holds a lock in PostgreSQL runs them, and the other one waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ecap import logs
from ecap.clients.postgres import Pool, translated
from ecap.errors import EcapError, Fatal

_log = logs.get("ecap.keeper")
# Any number that no other advisory lock of the database has.
_LOCK = 0x65636170


class Keeper:
    """The lock belongs to a session, so a pooler between must not share sessions."""

    def __init__(
        self,
        pool: Pool,
        *,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        look_every_s: float = 1.0,
    ) -> None:
        self._pool = pool
        self._start = start
        self._stop = stop
        self._look_every_s = look_every_s
        self._running = False

    async def run(self) -> None:
        """Ends only by being cancelled, or by what the actors refuse to start for."""
        while True:
            try:
                await self._hold()
            except Fatal:
                raise
            except EcapError as exc:
                # The actors wait for PostgreSQL by themselves; nothing here is stopped.
                _log.warning("the lock is lost", extra={"trouble": str(exc)})
            await asyncio.sleep(self._look_every_s)

    async def _hold(self) -> None:
        """Returns when somebody else has the lock, raises Unavailable when it is lost."""
        # Held as long as the lock, which is this connection's and goes with it.
        async with self._pool.connection() as conn:
            with translated():
                if not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                    await self._leave()
                    return
            if not self._running:
                # What an earlier keeper of this cluster left knows only its settings.
                await self._stop()
                await self._start()
                self._running = True
                _log.info("the actors run in this cluster")
            while True:
                await asyncio.sleep(self._look_every_s)
                with translated():
                    # Nobody says that a lock is lost: only its own connection shows it.
                    await conn.fetchval("SELECT 1")

    async def _leave(self) -> None:
        if self._running:
            _log.warning("another cluster runs the actors now")
            self._running = False
            await self._stop()
