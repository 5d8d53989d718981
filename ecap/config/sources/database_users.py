"""PostgreSQL users leased from Vault: renewed at two thirds of the lease, replaced by a
new user before the last renewal ends, both valid while the one takes over from the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from ecap import logs
from ecap.config.secrets.vault.client import DatabaseUser
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.sources.source import SourceHealth
from ecap.errors import EcapError

_log = logs.get("ecap.config")

_RENEW_AT = 2 / 3
_JITTER = 0.1
_WORTH_RENEWING = 1 / 2
_RETRY_S = 1.0

Use = Callable[[DatabaseUser], Awaitable[None]]
"""Returns when the user is used and nobody uses the one before. Raises to keep that one."""


class DatabaseLease:
    """`clock` is monotonic. The first user is `use`d like every other."""

    def __init__(
        self,
        session: VaultSession,
        *,
        role: str,
        mount: str,
        use: Use,
        health: SourceHealth,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.health = health
        self.started = asyncio.Event()
        """There is a user, and it is used."""
        self._session = session
        self._role = role
        self._mount = mount
        self._use = use
        self._clock = clock
        self._rng = rng
        self._user: DatabaseUser | None = None
        self._due = 0.0
        self._rotate = asyncio.Event()
        self._rotated = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. While Vault is away the user at hand serves to its lease's end."""
        while True:
            try:
                await self._step()
            except EcapError as exc:
                self.health.failed(exc)
                await asyncio.sleep(_RETRY_S)

    async def rotate(self, *, timeout_s: float) -> None:
        """A new user now; returns when it is used. Raises TimeoutError."""
        self._rotated.clear()
        self._rotate.set()
        async with asyncio.timeout(timeout_s):
            await self._rotated.wait()

    async def end(self) -> None:
        """Gives the user back; after `run` was cancelled."""
        user, self._user = self._user, None
        if user is not None:
            await self._revoke(user)

    async def _step(self) -> None:
        if self._user is None:
            await self._replace(None)
        try:
            async with asyncio.timeout(max(0.0, self._due - self._clock())):
                await self._rotate.wait()
        except TimeoutError:
            if await self._renewed():
                return
        await self._replace(self._user)
        # Only now: a replacement that fails leaves the wish, and the next step tries again.
        self._rotate.clear()
        self._rotated.set()

    async def _renewed(self) -> bool:
        """Whether the lease goes on for a time that is worth it."""
        user = self._user
        assert user is not None
        try:
            left_s = await self._session.call(
                lambda vault: vault.renew_lease(user.lease_id, increment_s=user.duration_s)
            )
        except EcapError as exc:
            # Ended, revoked, or not renewable: only a new user helps.
            self.health.failed(exc, reachable=True)
            return False
        self._hold(left_s)
        return left_s >= user.duration_s * _WORTH_RENEWING

    async def _replace(self, before: DatabaseUser | None) -> None:
        user = await self._session.call(
            lambda vault: vault.database_user(self._role, mount=self._mount)
        )
        try:
            await self._use(user)
        except BaseException:  # the user is ours alone: it must not outlive a failed take-over
            await self._revoke(user)
            raise
        # Ours before the other is given back: whatever fails below leaves a user that nobody uses,
        # and never none.
        self._user = user
        self.started.set()
        self._hold(user.duration_s)
        self.health.changed()
        _log.info("database user replaced", extra={"user": user.username})
        if before is not None:
            await self._revoke(before)

    async def _revoke(self, user: DatabaseUser) -> None:
        try:
            await self._session.call(lambda vault: vault.revoke_lease(user.lease_id))
        except EcapError as exc:
            # It ends by itself with its lease.
            _log.warning("lease not revoked", extra={"user": user.username, "why": exc.detail})

    def _hold(self, duration_s: float) -> None:
        self.health.lease(duration_s)
        part = _RENEW_AT - _JITTER * self._rng.random()
        self._due = self._clock() + duration_s * part


def as_user(settings: Postgres, user: DatabaseUser) -> Postgres:
    return settings.model_copy(update={"user": user.username, "password": SecretStr(user.password)})
