"""`ecap secrets rotate-keys`: a new key, everything under it, and the old ones gone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ecap.clients import retirement
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.clients.rotation import PostgresProgress, newest_state, personal, states
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import KeyringStore
from ecap.config.secrets.rotation import FileEntries, NoProgress, Progress, Renewable, Step, renew
from ecap.config.sources import startup
from ecap.errors import Conflict, NotFound

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Rotated:
    ring: Keyring
    renewed: int


async def rotate(
    environ: Mapping[str, str], store: KeyringStore, *, retire: bool, resume: bool, tell: Tell
) -> Rotated:
    """Raises Conflict naming what still needs an old key, Misconfigured naming what none opens."""
    ring = _with_new_key(store, resume=resume)
    async with _database(environ) as pool:
        count = await _renew(environ, ring, pool, tell)
        if retire and len(ring.keys) > 1:
            trust_s = startup.load(environ, secrets=False).keyring.trust_s
            await retirement.settled(ring, trust_s=trust_s, now=time.time(), wait=tell)
            if pool is not None:
                await retirement.arrived(pool)
            # What was written with an old key until a moment ago.
            count += await _renew(environ, ring, pool, tell)
            await retirement.refuse(ring, pool=pool, files=_files(environ), environ=environ)
            ring = _without_old_keys(store, ring)
    return Rotated(ring, count)


def _with_new_key(store: KeyringStore, *, resume: bool) -> Keyring:
    now = time.time()
    try:
        kept = store.load()
    except NotFound:
        ring = Keyring([new_key(now=now)])
        store.save(ring, revision=None)
        return ring
    if resume:
        return kept.ring
    # Stored before it is used: a stop in between leaves a key that nothing needs yet.
    added = kept.ring.add(now=now)
    ring = added.promote(added.keys[-1].id)
    store.save(ring, revision=kept.revision)
    return ring


def _without_old_keys(store: KeyringStore, ring: Keyring) -> Keyring:
    kept = store.load()
    if kept.ring.keys != ring.keys:
        raise Conflict("somebody else is rotating the keys; nothing was retired")
    for key in ring.keys[1:]:
        ring = ring.retire(key.id)
    store.save(ring, revision=kept.revision)
    return ring


@asynccontextmanager
async def _database(environ: Mapping[str, str]) -> AsyncIterator[Pool | None]:
    """None where no database is configured: then there are only files. Raises Unavailable."""
    settings = startup.load(environ)
    if settings.postgres.host is None:
        yield None
        return
    async with open_database(settings, service="cli") as pool:
        await pool.ping()
        yield pool


async def _renew(environ: Mapping[str, str], ring: Keyring, pool: Pool | None, tell: Tell) -> int:
    def report(step: Step) -> None:
        if step.seen:
            tell(f"{step.target}: {step.seen} seen, {step.renewed} encrypted again")

    targets: list[Renewable] = [FileEntries(_files(environ))]
    progress: Progress = NoProgress()
    if pool is not None:
        targets += [*personal(pool), states(pool), newest_state(pool)]
        progress = PostgresProgress(pool)
    return await renew(targets, ring, progress, report=report)


def _files(environ: Mapping[str, str]) -> list[Path]:
    """Those of every environment."""
    return list(startup.config_dir(environ).glob("*.yaml"))
