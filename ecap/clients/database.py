"""A pool that logs in with a leased PostgreSQL user, where the settings say so.

The user is a member of the configured one and acts as it: it owns nothing, and can
be dropped at any time. Whoever is refused, because the lease was revoked, waits for
the next user instead of failing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from ecap.clients.postgres import Pool, open_pool
from ecap.config.secrets.vault.client import DatabaseUser
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.tree import Settings
from ecap.config.sources.database_users import DatabaseLease
from ecap.config.sources.source import SourceHealth
from ecap.errors import EcapError, Unavailable
from ecap.tasks import end

_DRAIN_S = 30.0
_FIRST_USER_S = 30.0
_NEW_USER_S = 5.0
_KEEP_ALIVE_S = 10.0


@asynccontextmanager
async def open_database(settings: Settings, *, service: str) -> AsyncIterator[Pool]:
    """Raises Misconfigured when something is missing, and, with leased users, Unavailable
    while Vault gives none."""
    if settings.vault.database_role is None:
        async with open_pool(settings.postgres, service=service) as pool:
            yield pool
        return
    owner = settings.postgres
    # The configured password, if there is one, is never used here.
    nobody = owner.model_copy(update={"password": SecretStr("")})
    async with (
        open_pool(nobody, service=service, role=owner.user) as pool,
        _leased(settings, settings.vault.database_role, pool),
    ):
        yield pool


@asynccontextmanager
async def _leased(settings: Settings, role: str, pool: Pool) -> AsyncIterator[None]:
    rng = random.Random()  # noqa: S311  spreads renewals, guards nothing
    session = VaultSession(settings.vault, clock=time.monotonic, rng=rng)

    async def use(user: DatabaseUser) -> None:
        await pool.log_in_as(user.username, SecretStr(user.password), drain_s=_DRAIN_S)

    lease = DatabaseLease(
        session,
        role=role,
        mount=settings.vault.database_mount,
        use=use,
        health=SourceHealth("database", wall=time.time),
        clock=time.monotonic,
        rng=rng,
    )

    async def renewed() -> None:
        await lease.rotate(timeout_s=_NEW_USER_S)

    tasks = [asyncio.create_task(lease.run(), name="database-lease")]
    try:
        await _first(lease)
        pool.when_refused(renewed)
        tasks.append(asyncio.create_task(_keep_alive(session, lease), name="database-log-in"))
        yield
    finally:
        # Before the user is given back: a task that is replacing it would leave one that nobody
        # gives back.
        await end(*tasks)
        await lease.end()


async def _first(lease: DatabaseLease) -> None:
    try:
        async with asyncio.timeout(_FIRST_USER_S):
            await lease.started.wait()
    except TimeoutError:
        why = lease.health.last_error or "no answer"
        raise Unavailable(f"no PostgreSQL user was leased: {why}") from None


async def _keep_alive(session: VaultSession, lease: DatabaseLease) -> None:
    """A lease ends with the token it was asked with: after a new log-in, a new user."""
    while True:
        await asyncio.sleep(_KEEP_ALIVE_S)
        before = session.log_ins
        try:
            await session.keep_alive()
            if session.log_ins != before:
                await lease.rotate(timeout_s=_DRAIN_S)
        except (EcapError, TimeoutError) as exc:
            lease.health.failed(exc if isinstance(exc, EcapError) else Unavailable("no new user"))
