"""What a notifications replica holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ecap.serve.notifications.store import Deliveries
from ecap.serve.replica.process import Process


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Deliveries]:
    yield Deliveries(process.pool)
