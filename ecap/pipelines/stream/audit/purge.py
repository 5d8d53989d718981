"""Purge: entries that have been kept for `audit.retention_s` go."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from ecap import logs, tasks
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.config.member.follows import Follow
from ecap.config.settings.audit import Audit
from ecap.errors import Retryable

_log = logs.get("ecap.audit")
_SQL = load_queries(__package__)
_BITE = 5_000
_EVERY_S = 3600.0
_TROUBLE_PAUSE_S = 10.0


class Purge:
    def __init__(self, settings: Audit, pool: Pool) -> None:
        self._pool = pool
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        self.reconfigure(settings)

    def follows(self) -> tuple[Follow[Any], ...]:
        return (Follow("audit", Audit, self.reconfigure),)

    def reconfigure(self, settings: Audit) -> None:
        """Counts from the next round."""
        self._retention = timedelta(seconds=settings.retention_s)

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="audit-purge")

    async def stop(self) -> None:
        if self._task is not None:
            await tasks.end(self._task)

    def health(self) -> dict[str, object]:
        running = self._task is not None and not self._task.done()
        return {"ok": running and self._trouble is None, "trouble": self._trouble}

    async def purge(self, now: datetime) -> int:
        """How many went."""
        total, gone = 0, _BITE
        while gone == _BITE:
            done = await self._pool.execute(_SQL["purge"], now - self._retention, _BITE)
            gone = int(done.removeprefix("DELETE "))
            total += gone
        return total

    async def _run(self) -> None:
        while True:
            try:
                gone = await self.purge(datetime.now(UTC))
            except Retryable as exc:
                self._trouble = str(exc)
                await asyncio.sleep(_TROUBLE_PAUSE_S)
                continue
            self._trouble = None
            if gone:
                _log.info("old entries of the security log are gone", extra={"entries": gone})
            await asyncio.sleep(_EVERY_S)
