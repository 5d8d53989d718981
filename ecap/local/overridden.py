"""What operators had set, for a start that ignores it."""

from __future__ import annotations

from collections.abc import Mapping

from ecap.clients.config_history import PostgresHistory
from ecap.clients.postgres import Pool
from ecap.config.hub import accepted
from ecap.config.hub.history import DECISIONS
from ecap.config.layers import redaction
from ecap.config.sources import startup
from ecap.errors import EcapError


async def ignored(pool: Pool, environ: Mapping[str, str]) -> list[str]:
    """A line for each; one that says why, where it cannot be known."""
    history = PostgresHistory(pool)
    decided = [entry for entry in await history.entries() if entry.kind in DECISIONS]
    token = await history.state(decided[-1].version) if decided else None
    if token is None:
        return []
    try:
        where = f"configuration version {decided[-1].version}"
        found = accepted.unpack(token, startup.keyring(environ), where=where)
    except EcapError as exc:
        return [f"all, which they are is not known: {exc.detail}"]
    return [
        f"{key} = {redaction.shown(key, one.value)} ({one.author}: {one.reason})"
        for key, one in sorted(found.overrides.items())
    ]
