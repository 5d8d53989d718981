from __future__ import annotations

import asyncio
from collections.abc import Callable

WITHIN_S = 30.0


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not done():  # noqa: ASYNC110  a condition of somebody else's, without an event
            await asyncio.sleep(0.005)
