"""The bodies of the Ray actors.

Light on purpose: whoever holds a handle of an actor imports this module with it, and
a replica needs nothing of what actors are made of. So that is imported late.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ecap import logs, spans
from ecap.actors.following import follow
from ecap.actors.garbage import collect_rarely
from ecap.actors.hub_link import CONFIG
from ecap.actors.listening import Answer, listening
from ecap.actors.packing import Handle, Raised, answered, packed
from ecap.actors.reach import RayActors
from ecap.actors.supervisor import Spec, Supervisor, Watch
from ecap.config import Settings, load
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.protocol import Health
from ecap.errors import EcapError, NotFound

SUPERVISOR = "supervisor"

# A worker of Ray starts in two seconds, and Ray itself restarts one that was killed.
_WATCH = Watch(every_s=2.0, answer_s=5.0, misses=5, stop_s=15.0)


class Hosted:
    """Any actor but the supervisor, by name."""

    async def __init__(self, name: str, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        self._name = name
        self._refused: EcapError | None = None
        self._stack = AsyncExitStack()
        hosting = import_module("ecap.actors.hosting")
        collect_rarely()
        try:
            environ = {**os.environ, **environ}
            settings = load(environ)
            _set_up(name, settings)
            self._actor = hosting.build(name, settings, environ)
            await self._start(name, settings.mesh.socket_dir)
            await self._join(name, settings)
        except EcapError as exc:
            # Raised from here, Ray would turn it into a text about a dead actor.
            self._refused = exc
            await self._stack.aclose()

    async def _start(self, name: str, folder: Path | None) -> None:
        async with AsyncExitStack() as started:
            await self._actor.start()
            started.push_async_callback(self._actor.stop)
            # Closed last: what stops may still be asked, as it may through Ray.
            await self._stack.enter_async_context(
                listening(name, folder, _answer(name, self._actor.handle))
            )
            self._stack.push_async_exit(started.pop_all())

    async def _join(self, name: str, settings: Settings) -> None:
        """It serves with what it has loaded; what runs comes from the hub when that is there."""
        if name == CONFIG:
            return
        reach = RayActors(settings)
        self._stack.callback(reach.close)
        member = _member(name, settings, reach, health=self._health)
        follow(member, self._actor)
        await self._stack.enter_async_context(taking_part(member))

    def _health(self) -> Health:
        found = self._actor.health()
        return Health(ok=bool(found.get("alive", True) and found.get("ok", True)))

    async def ready(self) -> Raised | None:
        return Raised(self._refused) if self._refused else None

    async def health(self) -> Mapping[str, Any]:
        if self._refused:
            return {"alive": False, "ok": False, "trouble": str(self._refused)}
        return {**self._actor.health(), "pid": os.getpid()}

    async def call(self, question: bytes) -> bytes:
        """Made by `packing`, and so is the answer."""
        if self._refused:
            return packed(Raised(self._refused))
        return await answered(self._name, self._actor.handle, question)

    async def stop(self) -> None:
        if not self._refused:
            await self._stack.aclose()
            await asyncio.to_thread(spans.shutdown)


class SupervisorHost:
    """Restarted by Ray like the others, it adopts the actors that are running."""

    async def __init__(self, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        hosting, remote = (import_module(f"ecap.actors.{name}") for name in ("hosting", "remote"))
        settings = load({**os.environ, **environ}, secrets=False)
        _set_up(SUPERVISOR, settings)
        specs = [
            Spec(name, partial(remote.started, name, environ)) for name in hosting.names(settings)
        ]
        self._supervisor = Supervisor(specs, watch=_WATCH)
        self._stack = AsyncExitStack()
        self._refused: EcapError | None = None
        folder = settings.mesh.socket_dir
        try:
            await self._stack.enter_async_context(
                listening(SUPERVISOR, folder, _answer(SUPERVISOR, self._handle))
            )
        except EcapError as exc:
            self._refused = exc
            return
        await self._supervisor.start()
        self._stack.push_async_callback(self._supervisor.stop)
        reach = RayActors(settings)
        self._stack.callback(reach.close)
        member = _member(SUPERVISOR, settings, reach)
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


def _answer(name: str, handle: Handle) -> Answer:
    """Not the actor's own method: Ray wraps each of them."""
    return partial(answered, name, handle)


def _set_up(name: str, settings: Settings) -> None:
    logs.setup(service=name, level=settings.log.level, style=settings.log.style)
    telemetry = settings.telemetry
    spans.setup(telemetry.otlp_endpoint, service=name, ratio=telemetry.sample_ratio)


def _member(
    name: str,
    settings: Settings,
    reach: RayActors,
    *,
    health: Callable[[], Health] = Health,
) -> Member:
    return Member(
        name,
        kind="actor",
        settings=settings,
        link=reach.hub(),
        clock=time.monotonic,
        health=health,
    )
