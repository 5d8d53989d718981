"""The supervisor in a Ray actor: it starts the others, and is asked who is well."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from ecap.actors.follows import follow
from ecap.actors.reach import RayActors
from ecap.actors.supervisor import SUPERVISOR, Spec, Supervisor, Watch
from ecap.actors.wire.listener import listening
from ecap.actors.wire.packets import Raised, answered
from ecap.config import load
from ecap.config.member.participation import taking_part
from ecap.errors import EcapError, NotFound
from ecap.runtime.children import started
from ecap.runtime.hosted import answering, membership, set_up

# A worker of Ray starts in two seconds, and Ray itself restarts one that was killed.
_WATCH = Watch(every_s=2.0, answer_s=5.0, misses=5, stop_s=15.0)


class SupervisorHost:
    """Restarted by Ray like the others, it adopts the actors that are running."""

    async def __init__(self, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        # Late: whoever holds a handle of it needs nothing of what actors are made of.
        from ecap.runtime import roster

        settings = load({**os.environ, **environ}, secrets=False)
        set_up(SUPERVISOR, settings)
        specs = [Spec(name, partial(started, name, environ)) for name in roster.names(settings)]
        self._supervisor = Supervisor(specs, watch=_WATCH)
        self._stack = AsyncExitStack()
        self._refused: EcapError | None = None
        folder = settings.mesh.socket_dir
        try:
            await self._stack.enter_async_context(
                listening(SUPERVISOR, folder, answering(SUPERVISOR, self._handle))
            )
        except EcapError as exc:
            self._refused = exc
            return
        await self._supervisor.start()
        self._stack.push_async_callback(self._supervisor.stop)
        reach = RayActors(settings)
        self._stack.callback(reach.close)
        member = membership(SUPERVISOR, settings, reach)
        follow(member, self._supervisor)
        await self._stack.enter_async_context(taking_part(member))

    async def ready(self) -> Raised | None:
        if self._refused:
            return Raised(self._refused)
        try:
            await self._supervisor.ready()
        except EcapError as exc:
            return Raised(exc)
        return None

    async def status(self) -> dict[str, dict[str, Any]]:
        return self._supervisor.status()

    async def call(self, question: bytes) -> bytes:
        """As the other actors are asked; the gateway wants to know who is well."""
        return await answered(SUPERVISOR, self._handle, question)

    async def _handle(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        if method != "status":
            raise NotFound(f"the supervisor does not know {method}")
        return self._supervisor.status()

    async def stop(self) -> None:
        await self._stack.aclose()
