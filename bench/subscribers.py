"""Members of the configuration hub beside those of the system: a Ray actor, so a process, each."""

from __future__ import annotations

import time
from typing import Any

import ray

from ecap import logs
from ecap.actors.garbage import collect_rarely
from ecap.actors.reach import RayActors
from ecap.config import load
from ecap.config.member.follows import LEVEL, Follow, follow
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.settings.mesh import Mesh

_JOIN_S = 60.0
# A process costs seconds of a core to start: all at once, their log-ins at Vault take too long.
_AT_ONCE = 4


def _check(mesh: Mesh) -> None:
    if mesh.default.max_concurrency < 1:
        raise ValueError("at least one call at a time")


class _Subscriber:
    """The body of a Ray actor. It follows what every process of the system follows, and
    what each replica checks before it is changed."""

    async def __init__(self, name: str) -> None:  # type: ignore[misc]
        collect_rarely()
        settings = load()
        logs.setup(service=name, level=settings.log.level, style=settings.log.style)
        link = RayActors(settings).hub()
        member = Member(name, kind="actor", settings=settings, link=link, clock=time.monotonic)
        follow(member, (LEVEL, Follow("mesh", Mesh, self._use, check=_check)))
        self._taking_part = taking_part(member)
        await self._taking_part.__aenter__()
        await member.joined(timeout_s=_JOIN_S)

    def _use(self, mesh: Mesh) -> None:
        self._most = mesh.default.max_concurrency

    async def nothing(self) -> None:
        """What a call costs that does nothing."""

    async def leave(self) -> None:
        await self._taking_part.__aexit__(None, None, None)


def start(numbers: range) -> list[Any]:
    """Returns when all have joined."""
    kind: Any = ray.remote(_Subscriber)
    body = kind.options(num_cpus=0, max_concurrency=100)
    actors: list[Any] = []
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        actors += [body.remote(f"subscriber-{number}") for number in some]
        ray.get([actor.nothing.remote() for actor in actors[first:]])
    return actors


def end(actors: list[Any]) -> None:
    """With a good-bye, so that no change waits for them."""
    ray.get([actor.leave.remote() for actor in actors])
    for actor in actors:
        ray.kill(actor)
