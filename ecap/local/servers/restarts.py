"""Embedded servers that end by themselves are started again, on the same port.

Nothing of ours restarts with them: whoever uses them waits and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

import msgspec

from ecap import logs
from ecap.actors.backoff import Backoff
from ecap.errors import EcapError
from ecap.local.process.process import Started
from ecap.local.state import runtime
from ecap.local.state.folder import StateDir
from ecap.tasks import end

_log = logs.get(__name__)

_FIRST_S = 0.2
_CAP_S = 10.0
# After that long without a fault the back-off begins anew.
_STABLE_S = 60.0


@runtime_checkable
class Kept(Protocol):
    name: str

    async def start(self) -> Started:
        """Raises Unavailable."""
        ...

    async def stop(self) -> None: ...

    async def ended(self) -> str:
        """Waits until the process has ended, and says how."""
        ...


@asynccontextmanager
async def kept(
    state: StateDir, servers: Iterable[object], *, note: Callable[[str], None]
) -> AsyncIterator[None]:
    """Watches those of `servers`, all started, that can be watched."""
    tasks = [
        asyncio.create_task(_keep(state, server, note), name=f"keep-{server.name}")
        for server in servers
        if isinstance(server, Kept)
    ]
    try:
        yield
    finally:
        # Waited for: one that is starting a server would do so behind whoever stops it next.
        await end(*tasks)


async def _keep(state: StateDir, server: Kept, note: Callable[[str], None]) -> None:
    backoff = Backoff(first_s=_FIRST_S, cap_s=_CAP_S)
    while True:
        since = time.monotonic()
        how = await server.ended()
        if time.monotonic() - since >= _STABLE_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_s())
        try:
            _remember(state, server.name, await server.start())
        except (EcapError, OSError) as exc:
            _log.warning("%s does not start again: %s", server.name, exc)
            # Its process may run all the same, not ready: it would never end, and keep the port.
            await server.stop()
            continue
        note(f"{server.name} {how} and was started again")


def _remember(state: StateDir, name: str, started: Started) -> None:
    """For `ecap status`, and for who ends what a killed `ecap up` leaves behind."""
    found = runtime.read(state)
    if found is None:
        return
    servers = tuple(
        msgspec.structs.replace(server, pid=started.pid, started_at=time.time())
        if server.name == name
        else server
        for server in found.servers
    )
    runtime.write(state, msgspec.structs.replace(found, servers=servers))
