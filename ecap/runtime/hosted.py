"""A plain actor in a Ray actor: opened, listening, a member of the configuration.

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
from pathlib import Path
from typing import Any

from ecap import logs, spans
from ecap.actors.follows import follow
from ecap.actors.garbage import collect_rarely
from ecap.actors.hub_link import CONFIG
from ecap.actors.reach import RayActors
from ecap.actors.wire.listener import Answer, listening
from ecap.actors.wire.packets import Handle, Raised, answered, packed
from ecap.config import Settings, load
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.member.probation import Vitals
from ecap.config.protocol import Health
from ecap.errors import EcapError


class Hosted:
    """Any actor but the supervisor, by name."""

    async def __init__(self, name: str, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        self._name = name
        self._refused: EcapError | None = None
        self._stack = AsyncExitStack()
        # Late: see above.
        from ecap.runtime import roster

        collect_rarely()
        try:
            environ = {**os.environ, **environ}
            settings = load(environ)
            set_up(name, settings)
            self._actor = roster.build(name, settings, environ)
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
                listening(name, folder, answering(name, self._actor.handle))
            )
            self._stack.push_async_exit(started.pop_all())

    async def _join(self, name: str, settings: Settings) -> None:
        """It serves with what it has loaded; what runs comes from the hub when that is there."""
        if name == CONFIG:
            return
        reach = RayActors(settings)
        self._stack.callback(reach.close)
        vitals = Vitals(self._troubles)
        member = membership(name, settings, reach, health=self._health, vitals=vitals)
        follow(member, self._actor)
        await self._stack.enter_async_context(taking_part(member))

    def _health(self) -> Health:
        found = self._actor.health()
        return Health(ok=bool(found.get("alive", True) and found.get("ok", True)))

    async def _troubles(self) -> Mapping[str, str]:
        found = self._actor.health()
        well = found.get("alive", True) and found.get("ok", True)
        return {} if well else {self._name: str(found.get("trouble") or "not well")}

    async def ready(self) -> Raised | None:
        return Raised(self._refused) if self._refused else None

    async def health(self) -> Mapping[str, Any]:
        if self._refused:
            return {"alive": False, "ok": False, "trouble": str(self._refused)}
        return {**self._actor.health(), "pid": os.getpid()}

    async def call(self, question: bytes) -> bytes:
        """Made by `packets`, and so is the answer."""
        if self._refused:
            return packed(Raised(self._refused))
        return await answered(self._name, self._actor.handle, question)

    async def stop(self) -> None:
        if not self._refused:
            await self._stack.aclose()
            await asyncio.to_thread(spans.shutdown)


def answering(name: str, handle: Handle) -> Answer:
    """Not the actor's own method: Ray wraps each of them."""
    return partial(answered, name, handle)


def set_up(name: str, settings: Settings) -> None:
    logs.setup(service=name, level=settings.log.level, style=settings.log.style)
    telemetry = settings.telemetry
    spans.setup(telemetry.otlp_endpoint, service=name, ratio=telemetry.sample_ratio)


def membership(
    name: str,
    settings: Settings,
    reach: RayActors,
    *,
    health: Callable[[], Health] = Health,
    vitals: Vitals | None = None,
) -> Member:
    return Member(
        name,
        kind="actor",
        settings=settings,
        link=reach.hub(),
        clock=time.monotonic,
        health=health,
        vitals=vitals,
    )
