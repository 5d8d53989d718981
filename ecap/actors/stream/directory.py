"""Which actor owns which partition, as far as is known; PostgreSQL knows better."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ecap.actors.place import Place
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries

_SQL = load_queries(__package__)


class Directory:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._owners: dict[str, Mapping[Place, str | None]] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def owners(self, pipeline: str) -> Mapping[Place, str | None]:
        if pipeline not in self._owners:
            await self.refresh(pipeline)
        return self._owners[pipeline]

    async def refresh(self, pipeline: str) -> None:
        """Those who find out at the same time ask once."""
        task = self._refreshing.get(pipeline)
        if task is None:
            task = asyncio.create_task(self._read(pipeline), name=f"directory-{pipeline}")
            self._refreshing[pipeline] = task
            task.add_done_callback(lambda _: self._refreshing.pop(pipeline, None))
        await asyncio.shield(task)

    async def _read(self, pipeline: str) -> None:
        rows = await self._pool.fetch(_SQL["owners"], pipeline)
        self._owners[pipeline] = {(row["topic"], row["partition"]): row["owner"] for row in rows}
