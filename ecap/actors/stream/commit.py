"""The one transaction of a batch: positions, results, dead letters, snapshots; fenced.

A lost connection leaves open whether the commit happened. Moving a position
only from where it was makes a second try harmless, and reading the positions
then tells a commit that had succeeded from an owner who has been replaced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ecap import logs
from ecap.actors.backoff import Backoff
from ecap.actors.event_spans import Traced
from ecap.actors.stream import deadletters, snapshots
from ecap.actors.stream.deadletters import DeadLetter, DeadLetters
from ecap.actors.stream.pipeline import Pipeline
from ecap.actors.stream.snapshots import Snapshot
from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.errors import Fenced, Retryable

_log = logs.get("ecap.shard")
_SQL = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class Move:
    topic: str
    partition: int
    epoch: int
    from_pos: int
    to_pos: int
    kafka_offset: int


@dataclass
class Batch:
    moves: list[Move] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    replayed: list[UUID] = field(default_factory=list)
    oldest: datetime | None = None
    events: int = 0
    began_ns: int = field(default_factory=time.time_ns)
    traced: list[Traced] = field(default_factory=list)
    """Empty where no spans are collected."""


class _NotMoved(Exception):
    """Some row was not where this batch starts from."""


class Committer:
    def __init__(self, pool: Pool, pipeline: Pipeline[Any, Any], *, member: str) -> None:
        self._pool = pool
        self._pipeline = pipeline
        self._member = member
        self._letters = DeadLetters(pool)

    async def commit(self, batch: Batch) -> None:
        """Returns when the batch is committed, once, however long PostgreSQL is away.
        Raises Fenced when a partition has another owner."""
        backoff = Backoff(first_s=0.05, cap_s=2.0)
        while True:
            try:
                await self._once(batch)
                return
            except _NotMoved:
                if await self._committed_before(batch, backoff):
                    return
                raise Fenced(f"{self._pipeline.name}: {self._member} was replaced") from None
            except Retryable as exc:
                _log.warning(
                    "a batch waits for PostgreSQL",
                    extra={"pipeline": self._pipeline.name, "trouble": str(exc)},
                )
                await asyncio.sleep(backoff.next_s())

    async def _once(self, batch: Batch) -> None:
        name = self._pipeline.name
        async with self._pool.transaction() as conn:
            # First: who was replaced learns it before anything is written. And the rows stay locked
            # to the end, so that nobody takes a partition while its commit is under way (`take`
            # skips what is locked).
            await self._move(conn, batch.moves)
            if batch.replayed and not await deadletters.mark_replayed(conn, batch.replayed):
                raise _NotMoved
            if batch.letters:
                await deadletters.bury(conn, name, batch.letters, now=datetime.now(UTC))
            if batch.snapshots:
                await snapshots.save(conn, name, batch.snapshots)
            if batch.results:
                await self._pipeline.write(conn, batch.results)

    async def _move(self, conn: Connection, moves: Sequence[Move]) -> None:
        done = await conn.execute(
            _SQL["move"],
            self._pipeline.name,
            self._member,
            [m.topic for m in moves],
            [m.partition for m in moves],
            [m.epoch for m in moves],
            [m.from_pos for m in moves],
            [m.to_pos for m in moves],
            [m.kafka_offset for m in moves],
        )
        # All or none. One partition that is another's takes back what was done for those that are
        # still ours, too; the session starts over with them.
        if done != f"UPDATE {len(moves)}":
            raise _NotMoved

    async def _committed_before(self, batch: Batch, backoff: Backoff) -> bool:
        """All positions are where the batch leads: an earlier try had succeeded."""
        while True:
            try:
                if batch.replayed and not await self._letters.all_replayed(batch.replayed):
                    return False
                return bool(await self._arrived(batch.moves) == len(batch.moves))
            except Retryable:
                await asyncio.sleep(backoff.next_s())

    async def _arrived(self, moves: Sequence[Move]) -> int:
        count = await self._pool.fetchval(
            _SQL["where"],
            self._pipeline.name,
            self._member,
            [m.topic for m in moves],
            [m.partition for m in moves],
            [m.epoch for m in moves],
            [m.to_pos for m in moves],
        )
        return int(count)
