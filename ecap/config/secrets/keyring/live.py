"""The keyring as a running process holds it: looked at again and again, so that a rotation
needs no restart.

Whoever cannot look keeps opening with the keys at hand, but seals for `trust_s` only:
after that the key may have been retired, and what it sealed would be lost.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from ecap import logs, metrics, tasks
from ecap.config.secrets.keyring import stores
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.keyring.stores import Stored
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.keyring import Keyring as Section
from ecap.config.settings.tree import Settings
from ecap.errors import EcapError, Misconfigured, Unavailable

_log = logs.get("ecap.config")

Load = Callable[[], Awaitable[Stored]]
"""Raises NotFound, Misconfigured, Unavailable, Unauthenticated."""


def loading(settings: Settings, environ: Mapping[str, str]) -> Load:
    """From the store that the settings name, over one log-in at Vault where it needs one."""
    section = settings.keyring
    if not stores.needs_vault(section):
        here = stores.store(section, environ, secrets=None)
        return lambda: asyncio.to_thread(here.load)
    rng = random.Random()  # noqa: S311  spreads renewals, guards nothing
    session = VaultSession(settings.vault, clock=time.monotonic, rng=rng)

    async def load() -> Stored:
        await session.keep_alive()
        return await session.call(
            lambda secrets: stores.store(section, environ, secrets=secrets).load()
        )

    return load


class LiveKeyring:
    """`clock` is monotonic."""

    def __init__(
        self, ring: Keyring, load: Load, section: Section, *, clock: Callable[[], float]
    ) -> None:
        self.ring = ring
        self.trouble: str | None = None
        self._load = load
        self._section = section
        self._clock = clock
        self._looked_at = clock()
        self._looking = asyncio.Lock()
        _tell_age(ring)

    def seal(self, plain: bytes) -> bytes:
        """Raises Unavailable when the keys have not been seen for too long."""
        unseen_s = self._clock() - self._looked_at
        if unseen_s > self._section.trust_s:
            raise Unavailable(f"the keyring was last seen {unseen_s:.0f} s ago: {self.trouble}")
        return self.ring.seal(plain)

    async def open(self, token: bytes, *, where: str) -> bytes:
        """Raises Misconfigured when no key fits or the token was altered."""
        try:
            return self.ring.open(token, where=where)
        except Misconfigured:
            # Sealed by somebody who has heard of a new key already, perhaps.
            before = self.ring
            await self.look()
            if self.ring is before:
                raise
        return self.ring.open(token, where=where)

    async def look(self) -> None:
        """Those who ask at once share one look. Failures keep the keys at hand."""
        asked_at = self._clock()
        async with self._looking:
            # By when it began, not by when it ended: a look that was under way when we asked may
            # have read the store before the change that we are looking for.
            if self._looked_at > asked_at:
                return
            began_at = self._clock()
            try:
                stored = await self._load()
            except EcapError as exc:
                if self.trouble != exc.detail:
                    _log.warning("the keyring cannot be read", extra={"why": exc.detail})
                self.trouble = exc.detail
                return
            self.trouble = None
            self._looked_at = began_at
            if stored.ring.keys != self.ring.keys:
                self.ring = stored.ring
                _log.info("the keyring has changed", extra={"encrypts": self.ring.primary.id})
            _tell_age(self.ring)

    async def changes(self) -> AsyncIterator[Keyring]:
        """The ring at hand, then each that differs; for ever."""
        known: Keyring | None = None
        while True:
            if self.ring is not known:
                known = self.ring
                yield known
            await asyncio.sleep(self._section.poll_s)
            await self.look()

    async def watch(self) -> None:
        async for _ in self.changes():
            pass


async def found(
    settings: Settings, environ: Mapping[str, str], *, clock: Callable[[], float]
) -> LiveKeyring:
    """For whoever watches it with `changes`. Raises as `open_keyring`."""
    load = loading(settings, environ)
    return LiveKeyring((await load()).ring, load, settings.keyring, clock=clock)


@asynccontextmanager
async def open_keyring(
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[LiveKeyring]:
    """Watched while it is open. Raises Misconfigured or NotFound when there is no keyring,
    Unavailable when its store is away."""
    live = await found(settings, os.environ if environ is None else environ, clock=clock)
    watching = asyncio.create_task(live.watch(), name="keyring")
    try:
        yield live
    finally:
        await tasks.end(watching)


def _tell_age(ring: Keyring) -> None:
    age_s = ring.age_s(now=time.time())
    if age_s is not None:
        metrics.config_key_age_seconds.set(age_s)
