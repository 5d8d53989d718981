"""The hub's actor in this process, and members on the other side of its wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from integration.config.waiting import until

from ecap.actors.hub import ConfigHub
from ecap.actors.hub_link import HubConnection
from ecap.config import Settings
from ecap.config.hub.requests import Change
from ecap.config.layers.overrides import Edit
from ecap.config.member.member import Member

KEY = "orders.max_lines"


class Wire:
    """The actor as members reach it, in this process."""

    def __init__(self, hub: ConfigHub) -> None:
        self.hub = hub

    async def send(self, method: str, payload: Any, headers: Any, timeout_s: float) -> Any:
        async with asyncio.timeout(timeout_s):
            return await self.hub.handle(method, payload, headers)


@asynccontextmanager
async def started(environ: Mapping[str, str], *, boot: str = "one") -> AsyncIterator[ConfigHub]:
    hub = ConfigHub(environ, boot_id=boot)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def well(hub: ConfigHub) -> None:
    await until(lambda: hub.health()["ok"])


@asynccontextmanager
async def member(hub: ConfigHub, settings: Settings, name: str = "m") -> AsyncIterator[Member]:
    link = HubConnection(Wire(hub), hold_s=2.0)
    one = Member(name, kind="test", settings=settings, link=link, clock=time.monotonic)
    task = asyncio.create_task(one.run(), name=name)
    try:
        await one.joined(timeout_s=30)
        yield one
    finally:
        task.cancel()
        await asyncio.wait({task})


def change(value: Any, *, key: str = KEY, **more: Any) -> Change:
    return Change(edit=Edit({key: value}), author="ann", reason="a test", sections=("",), **more)
