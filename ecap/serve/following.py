"""What a replica does when its configuration changes."""

from __future__ import annotations

from ecap import logs
from ecap.serve.asgi import Edge
from ecap.serve.process import Process


def follow(process: Process, edge: Edge) -> None:
    """Subscribes what all services have in common; a service subscribes its own in `opened`."""

    async def level(old: str, new: str) -> None:
        logs.set_level(new)

    process.member.subscribe("log.level", str, level)
