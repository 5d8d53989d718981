"""One look at files, variables, Vault, the history and the keyring, for `ecap config status`.

Kubernetes is the hub's to watch: its client takes a second to import.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from ecap.cli.config import view
from ecap.config.hub.history import DECISIONS, verify
from ecap.config.layers import environment
from ecap.config.secrets.vault.session import VaultSession
from ecap.config.settings.tree import Settings
from ecap.config.sources import startup
from ecap.config.sources.source import SourceHealth
from ecap.errors import EcapError


async def status(environ: Mapping[str, str], *, now: float) -> dict[str, Any]:
    """Raises Misconfigured when not even the files can be read."""
    settings = startup.load(environ, secrets=False)
    sources = [_files(environ), _environment(environ)]
    if settings.vault.address is not None:
        sources.append(await _vault(settings))
    return {
        "sources": [source.shown() for source in sources],
        **await _history(environ),
        "keyring": _keyring(environ, settings, now=now),
    }


def _files(environ: Mapping[str, str]) -> SourceHealth:
    health = SourceHealth("files", wall=time.time)
    try:
        startup.files(environ)
    except EcapError as exc:
        health.failed(exc, reachable=True)
    else:
        health.ok()
    return health


def _environment(environ: Mapping[str, str]) -> SourceHealth:
    health = SourceHealth("environment", wall=time.time)
    environment.read(environ)
    health.ok()
    return health


async def _vault(settings: Settings) -> SourceHealth:
    health = SourceHealth("vault", wall=time.time)
    session = VaultSession(settings.vault, clock=time.monotonic, rng=random.Random())  # noqa: S311  jitter
    try:
        await session.call(lambda secrets: secrets.lease)
    except EcapError as exc:
        health.failed(exc)
    else:
        health.ok()
        health.lease(session.lease.duration_s)
    return health


async def _history(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"version": None, "members": {}, "history_error": None}
    try:
        entries = await view.entries(environ)
        verify(entries)
    except EcapError as exc:
        return {**found, "history_error": exc.detail}
    for entry in entries:
        if entry.kind in DECISIONS:
            found["version"] = entry.version
        if entry.kind == "settled":
            found["members"] = entry.body["members"]
    return found


def _keyring(
    environ: Mapping[str, str], settings: Settings, *, now: float
) -> dict[str, Any] | None:
    if settings.keyring.source == "none":
        return None
    ring = startup.keyring(environ)
    age_s = ring.age_s(now=now)
    return {
        "primary": ring.primary.id,
        "keys": [key.id for key in ring.keys],
        "age_s": age_s,
        "too_old": age_s is not None and age_s > settings.keyring.max_age_s,
    }
