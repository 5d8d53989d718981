"""What a catalog replica holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ecap.serve.catalog.store import Catalog
from ecap.serve.replica.process import Process


@asynccontextmanager
async def opened(process: Process) -> AsyncIterator[Catalog]:
    yield Catalog(process.pool)
