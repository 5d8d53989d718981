"""The rate-limit ledger: exact token buckets in one place, lent out in batches.

A replica admits only tokens it was lent, so that all replicas together never
admit more than a bucket holds. What a replica does not use in time is lost,
never given back: that errs on the side of the limit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ecap.errors import NotFound

# The name of the actor that holds the buckets.
LIMITS = "limits"

# (key, tokens a second, capacity, tokens wanted), and
# (tokens granted, seconds until the next, tokens that are left to others).
Request = tuple[str, float, float, int]
Grant = tuple[int, float, int]

_SWEEP_AT = 1024


class _Bucket:
    __slots__ = ("at_s", "burst", "rate", "tokens")

    def __init__(self, *, rate: float, burst: float, now_s: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.at_s = now_s

    def refill(self, *, rate: float, burst: float, now_s: float) -> None:
        """Time before a change of the limit counts at the old rate."""
        elapsed_s = max(now_s - self.at_s, 0.0)
        self.tokens = min(self.burst, self.tokens + self.rate * elapsed_s, burst)
        self.rate, self.burst, self.at_s = rate, burst, now_s

    def full(self, now_s: float) -> bool:
        return self.tokens + self.rate * (now_s - self.at_s) >= self.burst


class LimitLedger:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._sweep_at = _SWEEP_AT

    async def start(self) -> None:
        """Nothing to open: a new ledger starts with full buckets."""

    async def stop(self) -> None:
        self._buckets.clear()

    def health(self) -> dict[str, Any]:
        return {"alive": True, "ok": True, "buckets": len(self._buckets)}

    async def handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        if method != "lease":
            raise NotFound(f"limits has no {method}")
        return self.lease(payload)

    def lease(self, requests: Sequence[Request]) -> list[Grant]:
        """Whole tokens, as many as there are; never more than wanted."""
        now_s = self._clock()
        grants = [self._grant(request, now_s) for request in requests]
        if len(self._buckets) >= self._sweep_at:
            self._sweep(now_s)
        return grants

    def _grant(self, request: Request, now_s: float) -> Grant:
        key, rate, burst, wanted = request
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate=rate, burst=burst, now_s=now_s)
        bucket.refill(rate=rate, burst=burst, now_s=now_s)
        granted = min(wanted, math.floor(bucket.tokens))
        bucket.tokens -= granted
        if granted:
            return granted, 0.0, math.floor(bucket.tokens)
        return 0, (1.0 - bucket.tokens) / rate, 0

    def _sweep(self, now_s: float) -> None:
        """A full bucket is no different from none; doubling the mark keeps this cheap."""
        self._buckets = {k: b for k, b in self._buckets.items() if not b.full(now_s)}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._buckets))
