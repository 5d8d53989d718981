"""A limit on calls in flight, with a bounded first-come queue; beyond it calls are shed."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from ecap.errors import Overloaded

_SMOOTHING = 0.1  # weight of the newest call in the mean duration
_LEAST_RETRY_S = 0.05


class ConcurrencyLimit:
    def __init__(self, max_concurrency: int, *, max_queue: int) -> None:
        self._max = max_concurrency
        self._max_queue = max_queue
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s = 0.0

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def try_acquire(self) -> bool:
        """A slot at once; none is ever free while others wait, as each goes to the next in line."""
        if self._in_flight >= self._max:
            return False
        self._in_flight += 1
        return True

    async def acquire(self) -> None:
        """Wait in line for a slot; Overloaded when the line is full."""
        if self.try_acquire():
            return
        if len(self._waiting) >= self._max_queue:
            raise Overloaded("too many calls in flight", retry_after_s=self.retry_after_s)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # A release in this very tick may have passed over the ticket already.
                with suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                # The slot came together with the cancellation: pass it on.
                self._in_flight -= 1
            self._serve_line()
            raise

    def release(self, duration_s: float) -> None:
        """Give the slot back after `duration_s` of use."""
        self._mean_s += _SMOOTHING * (duration_s - self._mean_s)
        self._in_flight -= 1
        self._serve_line()

    def resize(self, max_concurrency: int, *, max_queue: int) -> None:
        """Calls beyond a smaller limit finish; those beyond a shorter line keep their place."""
        self._max, self._max_queue = max_concurrency, max_queue
        self._serve_line()

    @property
    def retry_after_s(self) -> float:
        """When the present line will have been served, by Little's law."""
        return max(_LEAST_RETRY_S, self._mean_s * (len(self._waiting) + 1) / self._max)

    def _serve_line(self) -> None:
        while self._waiting and self._in_flight < self._max:
            turn = self._waiting.popleft()
            if not turn.done():
                # Counted before the one in line has run: a slot that was merely free would go to
                # whoever comes first, past the line.
                self._in_flight += 1
                turn.set_result(None)
