"""Waiting for what may happen at any time: rung, everybody who waits goes on."""

from __future__ import annotations

import asyncio


class Bell:
    """As an Event that is set and cleared at once, with a time limit that costs one timer:
    every member waits at the hub, all the time."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout_s: float) -> None:
        """Returns when it is rung, or after `timeout_s`."""
        loop = asyncio.get_running_loop()
        # A ring is not kept for who comes later. Callers look at the state and then wait, with no
        # await in between, so nothing rings there unheard.
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.add(waiting)
        timer = loop.call_later(timeout_s, _end, waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.discard(waiting)


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
