"""Time that passes only when everybody waits."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable


class VirtualClock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, self._count, future))
        await future

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], object], *, within_s: float = 1000.0) -> None:
        end_s = self.now_s + within_s
        await self.settle()
        while not condition():
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            assert self._sleepers, "nobody waits for anything"
            self.now_s, _, future = heapq.heappop(self._sleepers)
            assert self.now_s <= end_s, "it never happened"
            future.set_result(None)
            await self.settle()

    async def forward(self, seconds: float) -> None:
        mark = asyncio.ensure_future(self.sleep(seconds))
        await self.until(mark.done, within_s=seconds + 1)
