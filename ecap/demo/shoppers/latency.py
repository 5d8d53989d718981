"""How long answers took: over the whole run, and over its last seconds."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of all values does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Latency:
    def __init__(self, *, recent_s: float = 10.0) -> None:
        self._recent_s = recent_s
        self._recent: deque[tuple[float, float]] = deque()
        self.all_s: list[float] = []

    def add(self, seconds: float, *, now: float) -> None:
        self.all_s.append(seconds)
        self._recent.append((now, seconds))
        self._forget(now)

    def recent_s(self, now: float) -> list[float]:
        self._forget(now)
        return [seconds for _, seconds in self._recent]

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] <= now - self._recent_s:
            self._recent.popleft()


class Meter:
    """Every request of the shoppers: how long it took, and how it ended."""

    def __init__(self) -> None:
        self.orders = Latency()
        self.requests = Latency()
        self.statuses: Counter[int] = Counter()

    def add(self, seconds: float, status: int, *, is_order: bool, now: float) -> None:
        self.requests.add(seconds, now=now)
        self.statuses[status] += 1
        if is_order:
            self.orders.add(seconds, now=now)
