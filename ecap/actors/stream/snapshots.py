"""Keyed state as of a position; bounds how far a new owner has to replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries

_SQL = load_queries(__package__)


@dataclass(frozen=True)
class Snapshot:
    """`kafka_offset` is where the events after it were last seen; only a hint."""

    topic: str
    partition: int
    pos: int
    kafka_offset: int
    body: bytes


async def save(conn: Connection, pipeline: str, snapshots: Sequence[Snapshot]) -> None:
    """In the caller's fenced transaction, so that `pos` is never ahead of what is committed."""
    await conn.executemany(
        _SQL["save_snapshot"],
        [(pipeline, s.topic, s.partition, s.pos, s.kafka_offset, s.body) for s in snapshots],
    )


async def load(pool: Pool, pipeline: str, topic: str, partition: int) -> Snapshot | None:
    row = await pool.fetchrow(_SQL["load_snapshot"], pipeline, topic, partition)
    return None if row is None else Snapshot(topic, partition, *row.values())
