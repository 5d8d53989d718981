from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

WITHIN_S = 30.0


async def until(done: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = done()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.005)
