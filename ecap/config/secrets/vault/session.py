"""A log-in at Vault that is kept alive: renewed at two thirds of its lease, made anew
when it cannot be renewed or was revoked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from ecap import logs
from ecap.config.secrets.vault import login
from ecap.config.secrets.vault.client import Lease, VaultSecrets
from ecap.config.settings.connections.vault import Vault
from ecap.errors import Unauthenticated

_log = logs.get("ecap.config")

T = TypeVar("T")
_RENEW_AT = 2 / 3
_JITTER = 0.1
# A renewal that gives less than this part of the first lease meets the token's end.
_WORTH_RENEWING = 1 / 3


class VaultSession:
    """One connection: calls come one after another, in a thread. `clock` is monotonic."""

    def __init__(
        self,
        settings: Vault,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        log_in: Callable[[Vault], VaultSecrets] = login.log_in,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._log_in = log_in
        self._secrets: VaultSecrets | None = None
        self._first_s = 0.0
        self._renew_at: float | None = None
        self._held_at = 0.0
        self._lock = asyncio.Lock()
        self.lease = Lease(0, renewable=False)
        self.log_ins = 0

    async def call(self, ask: Callable[[VaultSecrets], T]) -> T:
        """Logs in when needed, and once more when the token is refused.

        Raises what `ask` raises, Unavailable, Misconfigured.
        """
        # Held over the log-in too: of all that are refused at once the first logs in, and the
        # others find its token.
        async with self._lock:
            fresh = self._secrets is None
            secrets = self._secrets or await self._enter()
            try:
                return await asyncio.to_thread(ask, secrets)
            except Unauthenticated:
                if fresh:
                    raise
                # Revoked, or expired while the process slept. Not allowed looks the same.
                secrets = await self._enter()
            return await asyncio.to_thread(ask, secrets)

    @property
    def left_s(self) -> float:
        """Of a lease that ends."""
        return max(0.0, self._held_at + self.lease.duration_s - self._clock())

    async def keep_alive(self) -> None:
        """Call it often; it renews when that is due."""
        if self._renew_at is None or self._clock() < self._renew_at:
            return
        async with self._lock:
            secrets = self._secrets
            if secrets is None or not self.lease.renewable:
                await self._enter()
                return
            try:
                lease = await asyncio.to_thread(secrets.renew)
            except Unauthenticated:
                await self._enter()
                return
            if lease.duration_s < self._first_s * _WORTH_RENEWING:
                await self._enter()
            else:
                self._hold(lease)

    async def _enter(self) -> VaultSecrets:
        self._secrets = await asyncio.to_thread(self._log_in, self._settings)
        self._first_s = self._secrets.lease.duration_s
        self.log_ins += 1
        self._hold(self._secrets.lease)
        _log.info("logged in at Vault", extra={"lease_s": self._first_s})
        return self._secrets

    def _hold(self, lease: Lease) -> None:
        self.lease = lease
        self._held_at = self._clock()
        # Not all at once: every process of a cluster logs in at its start.
        part = _RENEW_AT - _JITTER * self._rng.random()
        self._renew_at = self._clock() + lease.duration_s * part if lease.duration_s else None
