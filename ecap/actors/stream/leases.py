"""Who owns which partition: leases in PostgreSQL, fenced by an epoch.

A member owns what it took for as long as its heartbeat is fresh. Every change
of hands raises the epoch, so that the old owner's commits find nothing to move.
Time is PostgreSQL's: one clock for all members.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ecap.actors.place import Place
from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.errors import Fenced, Retryable

_SQL = load_queries(__package__)


class NotOwner(Retryable):
    """Somebody else answers for this key; look up who."""

    slug = "not-owner"
    title = "Another shard owns this key"


class Superseded(Fenced):
    """A newer process has taken this member's name."""


@dataclass(frozen=True)
class Lease:
    topic: str
    partition: int
    epoch: int
    start_pos: int
    next_pos: int
    kafka_offset: int

    @property
    def place(self) -> Place:
        return self.topic, self.partition


@dataclass(frozen=True)
class Standing:
    """One partition as PostgreSQL sees it. `log_pos` and `sent_pos` are the relay's."""

    owner: str | None
    epoch: int
    next_pos: int
    log_pos: int
    sent_pos: int
    free: bool


@dataclass(frozen=True)
class View:
    share: int
    standings: Mapping[Place, Standing]


class Leases:
    def __init__(
        self, pool: Pool, *, pipeline: str, member: str, partitions: Sequence[Place], ttl_s: float
    ) -> None:
        self.pipeline = pipeline
        self.member = member
        self._pool = pool
        self._partitions = partitions
        self._topics = sorted({topic for topic, _ in partitions})
        self._ttl_s = ttl_s
        self._incarnation = 0

    def reconfigure(self, *, ttl_s: float) -> None:
        """From the next heartbeat on."""
        self._ttl_s = ttl_s

    async def join(self) -> None:
        """From now on an older process of this name cannot heartbeat."""
        topics, partitions = _columns(self._partitions)
        await self._pool.execute(_SQL["add_partitions"], self.pipeline, topics, partitions)
        self._incarnation = await self._pool.fetchval(
            _SQL["join"], self.pipeline, self.member, self._ttl_s
        )

    async def heartbeat(self) -> None:
        """Raises Superseded."""
        done = await self._pool.execute(
            _SQL["heartbeat"], self.pipeline, self.member, self._incarnation, self._ttl_s
        )
        if done != "UPDATE 1":
            raise Superseded(f"{self.pipeline}: a newer {self.member} is running")

    async def view(self) -> View:
        """Raises Superseded, so that an old process takes nothing back from a newer one."""
        await self.heartbeat()
        async with self._pool.connection() as conn:
            alive = await conn.fetchval(_SQL["members_alive"], self.pipeline)
            rows = await conn.fetch(_SQL["partitions"], self.pipeline, self._topics)
        standings = {
            (topic, partition): Standing(owner, epoch, next_pos, log_pos, sent_pos, free)
            for topic, partition, owner, epoch, next_pos, log_pos, sent_pos, free in rows
        }
        return View(math.ceil(len(self._partitions) / max(alive, 1)), standings)

    async def take(self, *, held: Sequence[Place], limit: int) -> list[Lease]:
        """Free partitions, and those an earlier process of this name still holds."""
        topics, partitions = _columns(held)
        rows = await self._pool.fetch(
            _SQL["take"], self.pipeline, self.member, self._topics, topics, partitions, limit
        )
        return [Lease(*row.values()) for row in rows]

    async def release(self, leases: Sequence[Lease]) -> None:
        topics, partitions = _columns([lease.place for lease in leases])
        epochs = [lease.epoch for lease in leases]
        await self._pool.execute(
            _SQL["release"], self.pipeline, self.member, topics, partitions, epochs
        )

    async def release_stale(self, view: View, *, held: Collection[Place]) -> None:
        """Give back what an earlier process of this name left to us and we do not hold."""
        stale = [
            Lease(*place, standing.epoch, 0, 0, 0)
            for place, standing in view.standings.items()
            if standing.owner == self.member and place not in held
        ]
        if stale:
            await self.release(stale)

    async def leave(self) -> None:
        await self._pool.execute(_SQL["leave"], self.pipeline, self.member, self._incarnation)


def _columns(places: Sequence[Place]) -> tuple[list[str], list[int]]:
    return [topic for topic, _ in places], [partition for _, partition in places]
