"""The replica's side of the rate limits: tokens borrowed ahead, decided without a call.

All keys asked for while one call is under way travel in the next: at most one call
at a time, whatever the load. When the ledger is away each replica limits by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ecap import logs, metrics
from ecap.actors.limits.ledger import Grant, LimitLedger, Request
from ecap.errors import Retryable

_log = logs.get("ecap.limits")

Lease = Callable[[Sequence[Request]], Awaitable[Sequence[Grant]]]

_SWEEP_AT = 1024
# How long the ledger is left alone after it did not answer.
_AWAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """`remaining` counts the tokens that this replica holds, and those that were left in the
    bucket when it last borrowed."""

    allowed: bool
    remaining: int
    retry_after_s: float


class _Held:
    """What this replica holds of one key."""

    __slots__ = (
        "asked",
        "burst",
        "denied_until_s",
        "expires_s",
        "left",
        "rate",
        "tokens",
        "used",
        "waiters",
    )

    def __init__(self) -> None:
        self.rate = 1.0
        self.burst = 1.0
        self.tokens = 0
        self.left = 0
        self.used = 0
        self.expires_s = 0.0
        self.denied_until_s = 0.0
        self.asked = False
        self.waiters: list[asyncio.Future[None]] = []

    def limited(self, rate: float, burst: float) -> None:
        """From now on by these. The old limit's refusal ends, and no more is kept of what
        it lent than the new one would lend."""
        self.rate, self.burst = rate, burst
        self.denied_until_s = 0.0
        self.tokens = min(self.tokens, math.floor(burst))
        self.left = 0


class LeasedLimiter:
    def __init__(
        self,
        lease: Lease,
        *,
        service: str,
        lease_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lease` raises Retryable while the ledger is away."""
        self._lease = lease
        self._lease_s = lease_s
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._wanted: dict[str, _Held] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._away_until_s = 0.0
        self._alone = LimitLedger(clock=clock)
        self._unreachable = metrics.limit_ledger_unreachable.labels(service)
        self._sweep_at = _SWEEP_AT

    def reconfigure(self, *, lease_s: float) -> None:
        """For what is lent from now on; the limits themselves come with each request."""
        self._lease_s = lease_s

    def try_take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling | None:
        """Decide from what is held; None when the ledger has to be asked."""
        now_s = self._clock()
        if now_s < self._away_until_s:
            return self._decide_alone(key, rate_per_s, burst)
        held = self._held.get(key)
        if held is None:
            return None
        if held.rate != rate_per_s or held.burst != burst:
            held.limited(rate_per_s, burst)
        if held.tokens > 0 and now_s < held.expires_s:
            held.tokens -= 1
            held.used += 1
            if held.used >= 2 and held.tokens <= held.used // 2 and not held.asked:
                self._want(key, held)  # before it runs out, so that nobody waits
            return Ruling(True, held.tokens + held.left, 0.0)
        if now_s < held.denied_until_s:
            return Ruling(False, 0, held.denied_until_s - now_s)
        return None

    async def take(self, key: str, *, rate_per_s: float, burst: float) -> Ruling:
        loop = asyncio.get_running_loop()
        while (verdict := self.try_take(key, rate_per_s=rate_per_s, burst=burst)) is None:
            held = self._held.get(key)
            if held is None:
                # Before it is there: it holds nothing yet, and would be swept with the others.
                self._sweep()
                held = self._held[key] = _Held()
                held.rate, held.burst = rate_per_s, burst
            if self._clock() >= held.expires_s:
                held.used = 0  # a rare guest borrows only what it needs
            waiter: asyncio.Future[None] = loop.create_future()
            held.waiters.append(waiter)
            self._want(key, held)
            await waiter
        return verdict

    async def aclose(self) -> None:
        if self._flushing:
            self._flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing

    # ---- asking the ledger

    def _want(self, key: str, held: _Held) -> None:
        held.asked = True
        self._wanted[key] = held
        if self._flushing is None:
            # Held, because the loop keeps only a weak reference to a task.
            self._flushing = asyncio.get_running_loop().create_task(
                self._flush(), name="limits-lease"
            )

    async def _flush(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                requests = [
                    (key, held.rate, held.burst, _ahead(held, len(held.waiters)))
                    for key, held in wanted.items()
                ]
                # Before the ledger is asked. Set back after its answer, as it was at first, what
                # was used meanwhile was forgotten, and too little asked for.
                for held in wanted.values():
                    held.used = 0
                try:
                    grants = await self._lease(requests)
                except Exception as exc:  # noqa: BLE001  no request may hang on the ledger's trouble
                    if not isinstance(exc, Retryable):
                        _log.exception("the ledger failed")
                    self._unreachable.inc()
                    self._away_until_s = self._clock() + _AWAY_S
                    grants = []
                self._receive(list(wanted.values()), requests, grants)
                # Who was woken runs first: who finds nothing is counted in the next request.
                await asyncio.sleep(0)
        finally:
            # With no await since `_wanted` was found empty: who wants something after that begins a
            # new flush, and nobody is left waiting for this one.
            self._flushing = None

    def _receive(
        self, asked: Sequence[_Held], requests: Sequence[Request], grants: Sequence[Grant]
    ) -> None:
        """`grants` is empty when the ledger did not answer."""
        now_s = self._clock()
        for held, (*_, wanted), (granted, retry_after_s, others) in zip(
            asked, requests, grants, strict=False
        ):
            kept = held.tokens if now_s < held.expires_s else 0
            held.tokens = kept + granted
            held.left = others
            if granted:
                held.expires_s = now_s + self._lease_s
            short = len(held.waiters) - held.tokens
            if granted < wanted and short > 0:
                # The bucket is empty. Who finds nothing is refused: waiting for refills would
                # hide the limit. Who came while the ledger was asked is not meant: ask again.
                held.denied_until_s = now_s + max(retry_after_s, short / held.rate)
        for held in asked:
            held.asked = False
            waiters, held.waiters = held.waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _decide_alone(self, key: str, rate: float, burst: float) -> Ruling:
        """The whole limit for this replica: N replicas may admit N times as much."""
        ((granted, retry_after_s, left),) = self._alone.lease([(key, rate, burst, 1)])
        return Ruling(bool(granted), left, retry_after_s)

    def _sweep(self) -> None:
        if len(self._held) < self._sweep_at:
            return
        now_s = self._clock()
        self._held = {
            key: held
            for key, held in self._held.items()
            if held.asked or held.expires_s > now_s or held.denied_until_s > now_s
        }
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._held))


def _ahead(held: _Held, waiting: int) -> int:
    """For who waits, and twice what was used since the ledger was last asked, within a tenth
    of the bucket: a token that expires unused is lost to everybody, and small buckets must
    not be emptied by one."""
    most = max(1, math.floor(held.burst / 10))
    return max(1, waiting + min(2 * held.used, most))
