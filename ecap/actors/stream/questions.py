"""Questions to the shard that owns a key, wherever it is at the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ecap.actors.place import Place
from ecap.actors.stream.directory import Directory
from ecap.domain.events.topics import TOPICS
from ecap.domain.values.partitions import partition_of
from ecap.errors import DeadlineExceeded, NotFound, Unavailable
from ecap.mesh import MeshClient

# Hands change within a heartbeat; asking PostgreSQL more often than this helps nobody.
_FIRST_PAUSE_S = 0.01
_MAX_PAUSE_S = 0.2


class Ask(msgspec.Struct, frozen=True):
    """What `ShardClient` sends and `Shard.handle` receives."""

    pipeline: str
    topic: str
    key: str
    question: Any


class Elsewhere(msgspec.Struct, frozen=True):
    """The answer of a shard that does not own the key: no failure of the shard."""


class ShardClient:
    """`clients` answers the mesh client of an actor name, one and the same each time."""

    def __init__(
        self,
        directory: Directory,
        clients: Callable[[str], MeshClient],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._clients = clients
        self._clock = clock

    async def ask(
        self,
        pipeline: str,
        key: str,
        question: Any,
        *,
        timeout_s: float,
        topic: str | None = None,
    ) -> Any:
        """The question must be safe to repeat. `topic` may be left out when there is one.

        Raises Unavailable when nobody owns the key's partition in time.
        """
        deadline = self._clock() + timeout_s
        pause_s = _FIRST_PAUSE_S
        trouble = Unavailable(f"{pipeline}: nobody owns the partition of this key")
        while True:
            try:
                place = await self._place(pipeline, topic, key)
                owner = (await self._directory.owners(pipeline)).get(place)
                left_s = deadline - self._clock()
                if owner is not None and left_s > 0:
                    answer = await self._clients(owner).call(
                        "ask",
                        Ask(pipeline, place[0], key, question),
                        idempotent=True,
                        timeout_s=left_s,
                    )
                    if not isinstance(answer, Elsewhere):
                        return answer
            except DeadlineExceeded:
                raise
            except Unavailable as exc:
                trouble = exc
            if deadline - self._clock() <= pause_s:
                raise trouble
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _MAX_PAUSE_S)
            await self._directory.refresh(pipeline)

    async def _place(self, pipeline: str, topic: str | None, key: str) -> Place:
        if topic is None:
            topics = {found for found, _ in await self._directory.owners(pipeline)}
            if not topics:
                raise Unavailable(f"{pipeline} has never run")
            if len(topics) > 1:
                raise NotFound(f"{pipeline} reads {', '.join(sorted(topics))}: name one")
            (topic,) = topics
        return topic, partition_of(key, TOPICS[topic].partitions)
