"""How long a user of a pool waits, on a virtual clock. Connections that work have PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from virtual_time import clock, run

from ecap.clients.connections import Connections

_TIMEOUT_S = 2.0


class _Pool:
    """Of a server that lets nobody in."""

    @asynccontextmanager
    async def acquire(self, *, timeout: float) -> AsyncIterator[Any]:
        async with asyncio.timeout(timeout):
            await asyncio.Event().wait()
        yield


async def _waited(connections: Connections, *, after_s: float) -> float:
    await asyncio.sleep(after_s)
    began = clock()
    with pytest.raises(TimeoutError):
        async with connections.acquire():
            raise AssertionError
    return clock() - began


def test_the_wait_for_a_place_counts() -> None:
    async def main() -> list[float]:
        pool: Any = _Pool()
        connections = Connections(pool, size=1, acquire_timeout_s=_TIMEOUT_S)
        waits = (_waited(connections, after_s=after_s) for after_s in (0.0, 0.5, 1.5, 3.0))
        return list(await asyncio.gather(*waits))

    # The first has the place until 2.0, the second until 2.5, the third to the end of its time.
    assert run(main()) == pytest.approx([_TIMEOUT_S] * 4, abs=0.02)
