"""The mail sink as a server of `ecap up`."""

from __future__ import annotations

import sys
from pathlib import Path

from ecap.local.process.process import Child, Started, plain_environ, spawn
from ecap.local.servers.kafka import accepting
from ecap.local.state.folder import StateDir

_READY_S = 20.0


class Mail:
    name = "mail"

    def __init__(self, state: StateDir, *, port: int, web_port: int) -> None:
        self.port = port
        self._state = state
        self._web_port = web_port
        self._child: Child | None = None

    async def start(self) -> Started:
        self._child = await spawn(
            self._state,
            self.name,
            Path(sys.executable),
            *("-m", "ecap.local.servers.mailsink", self._state.data / "mail"),
            *(str(self.port), str(self._web_port)),
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
