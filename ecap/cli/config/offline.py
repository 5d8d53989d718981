"""`ecap config unset KEY --offline`: in the history itself, when nothing answers."""

from __future__ import annotations

import asyncio
import getpass
import os
import time
from collections.abc import Mapping

from ecap.cli import door
from ecap.clients.config_history import PostgresHistory
from ecap.clients.database import open_database
from ecap.config.hub import offline
from ecap.config.hub.candidates import Candidates
from ecap.config.layers import assembly, schema
from ecap.config.layers.references import Reference
from ecap.config.secrets.keyring import live
from ecap.config.sources import startup
from ecap.errors import Conflict, EcapError, Misconfigured

_ANSWER_S = 5.0


class _Secrets:
    """What the override hid may be a reference."""

    def __init__(self, reader: startup.Reader) -> None:
        self._reader = reader

    async def fetch(self, wanted: Mapping[Reference, str]) -> Mapping[Reference, str]:
        return {one: await asyncio.to_thread(self._reader.read, one) for one in wanted}


def unset(environ: Mapping[str, str], key: str, *, reason: str) -> int:
    """The version that counts from the next start on. Raises Conflict while a hub runs."""
    schema.find(key)
    _nobody_answers()
    return asyncio.run(_unset(environ, key, reason=reason))


def _nobody_answers() -> None:
    try:
        with door.open_door(os.environ.get("ECAP_URL"), timeout_s=_ANSWER_S) as opened:
            opened.get("/members")
    except EcapError:
        return
    raise Conflict("ECAP answers: leave out --offline, and every member acknowledges the change")


async def _unset(environ: Mapping[str, str], key: str, *, reason: str) -> int:
    settings = startup.load(environ)
    if settings.postgres.host is None:
        raise Misconfigured(
            "postgres.host is not set, and the embedded server runs with `ecap up` alone;"
            " start it with `ecap up --ignore-overrides`"
        )
    given, _ = startup.usable_files(environ)
    reader = startup.Reader(
        assembly.draft(startup.with_variables(given, environ), environ), environ
    )
    keys = await live.found(settings, environ, clock=time.monotonic)
    async with open_database(settings, service="cli") as pool:
        history = PostgresHistory(pool)
        hubs = await history.hubs()
        if hubs:
            raise Conflict(
                f"a configuration hub is connected to the database (from {', '.join(hubs)}):"
                " end ECAP first, then repeat this"
            )
        return await offline.unset(
            key,
            history=history,
            keys=keys,
            candidates=Candidates(secrets=_Secrets(reader), environ=environ),
            author=f"offline: {getpass.getuser()}",
            reason=reason,
            wall=time.time,
        )
