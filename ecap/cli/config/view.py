"""What `ecap config` looks at: the version that runs, from the history, or what the sources
of this machine say when nothing has ever run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ecap.clients.config_history import PostgresHistory
from ecap.clients.database import open_database
from ecap.config.hub import accepted, decision
from ecap.config.hub.accepted import Packed
from ecap.config.hub.history import DECISIONS, Entry
from ecap.config.layers import assembly, redaction
from ecap.config.layers.layer import Found
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.sources import startup
from ecap.errors import EcapError, NotFound, Unavailable


@dataclass(frozen=True)
class View:
    found: Mapping[str, Found] = field(repr=False)
    leaves: Mapping[str, Any] = field(repr=False)
    since: Mapping[str, int]
    version: int | None
    """None: not what runs, but what the sources of this machine say."""
    note: str | None = None


def configured(environ: Mapping[str, str]) -> View:
    """Files, environment and Vault, references unread. Raises Misconfigured."""
    given = startup.layers(environ)
    plain = assembly.draft(given, environ)
    plain.unread()  # says what is wrong, with its place
    note = None
    try:
        from_vault = startup.Reader(plain, environ).vault_layer()
    except Unavailable as exc:
        from_vault, note = None, exc.detail
    draft = plain if from_vault is None else assembly.draft({**given, "vault": from_vault}, environ)
    return View(draft.found, draft.values, {}, None, note)


@asynccontextmanager
async def open_history(environ: Mapping[str, str]) -> AsyncIterator[PostgresHistory]:
    """Raises Misconfigured when no database is configured, Unavailable when it is away."""
    settings = startup.load(environ)
    async with open_database(settings, service="cli") as pool:
        yield PostgresHistory(pool)


async def running(environ: Mapping[str, str]) -> View:
    """Raises NotFound when no version ever ran, Misconfigured, Unavailable."""
    async with open_history(environ) as history:
        decided = [entry for entry in await history.entries() if entry.kind in DECISIONS]
        if not decided:
            raise NotFound("no configuration has run yet")
        packed = await state(history, decided[-1].version, startup.keyring(environ))
    found = decision.restored(packed, environ)
    return View(found.found, found.leaves, found.since, found.version)


async def present(environ: Mapping[str, str]) -> View:
    """What runs, and where that cannot be known, what is configured."""
    try:
        return await running(environ)
    except EcapError as exc:
        view = configured(environ)
        note = f"as configured here; what runs is not known: {exc.detail}"
        return View(view.found, view.leaves, view.since, None, note)


async def state(history: PostgresHistory, version: int, ring: Keyring) -> Packed:
    token = await history.state(version)
    if token is None:
        raise NotFound(f"no version {version} ever ran")
    return accepted.unpack(token, ring, where=f"configuration version {version}")


async def side(environ: Mapping[str, str], name: str) -> Mapping[str, Any]:
    """One side of a diff: a version by number, or an environment by name."""
    if name.isdigit():
        async with open_history(environ) as history:
            return (await state(history, int(name), startup.keyring(environ))).leaves
    view = configured({**environ, "ECAP_ENVIRONMENT": name})
    return {
        key: redaction.resolved(key, value)
        if view.found[key].given.final
        else redaction.plain(value)
        for key, value in view.leaves.items()
    }


async def entries(environ: Mapping[str, str], *, after_seq: int = 0) -> list[Entry]:
    async with open_history(environ) as history:
        return list(await history.entries(after_seq=after_seq))
