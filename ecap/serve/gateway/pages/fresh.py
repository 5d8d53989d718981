"""A value that is dear to make, kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Fresh(Generic[V]):
    """`make` answers the value and for how many seconds it holds. Whoever asks while
    it is being made waits for the same one."""

    def __init__(
        self,
        make: Callable[[], Awaitable[tuple[V, float]]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._clock = clock
        self._making = asyncio.Lock()
        self._kept: tuple[V, float] | None = None

    async def get(self) -> V:
        async with self._making:
            if self._kept is None or self._clock() >= self._kept[1]:
                value, holds_s = await self._make()
                self._kept = (value, self._clock() + holds_s)
            return self._kept[0]
