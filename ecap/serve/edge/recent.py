"""How a replica fares: requests of its last seconds, and those it failed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ecap.config.protocol import Health

_WINDOW_S = 10


class Recent:
    """In whole seconds; `clock` is monotonic."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=_WINDOW_S + 1)
        self._requests = 0
        self._failed = 0

    def add(self, requests: int, failed: int) -> None:
        self._requests += requests
        self._failed += failed
        now = int(self._clock())
        if self._seconds and self._seconds[-1][0] == now:
            _, before, failed_before = self._seconds.pop()
            requests, failed = requests + before, failed + failed_before
        self._seconds.append((now, requests, failed))

    def tally(self) -> tuple[int, int]:
        """Requests, and failed ones, since the start."""
        return self._requests, self._failed

    def health(self) -> Health:
        """What a client did wrong is no failure of ours."""
        since = self._clock() - _WINDOW_S
        within = [second for second in self._seconds if second[0] >= since]
        requests = sum(second[1] for second in within)
        failed = sum(second[2] for second in within)
        return Health(error_ratio=failed / requests if requests else 0.0, requests=requests)
