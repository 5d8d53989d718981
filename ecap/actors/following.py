"""What an actor does when its configuration changes."""

from __future__ import annotations

from ecap import logs
from ecap.actors.hosting import Actor
from ecap.config.member import Member


def follow(member: Member, actor: Actor) -> None:
    """Called once, when the actor has started and before it takes part."""

    async def level(old: str, new: str) -> None:
        logs.set_level(new)

    member.subscribe("log.level", str, level)
