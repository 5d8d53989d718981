"""Events that could not be applied: set aside with the reason, looked at, replayed.

The row commits together with the position that skips the event, and so does a
copy for `<topic>.dlq`.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from ecap.clients import audit, outbox
from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.envelope import Envelope
from ecap.domain.events.topics import DLQ_SUFFIX
from ecap.domain.values.ids import new_id
from ecap.errors import NotFound

_SQL = load_queries(__package__)
_encoder = msgspec.json.Encoder()

# A detail is an error text; the event itself is kept whole.
_DETAIL_CHARS = 2000
# In the security log; of more, their number.
_NAMED = 100


@dataclass(frozen=True)
class DeadLetter:
    topic: str
    partition: int
    pos: int
    kafka_offset: int
    reason: str
    detail: str
    key: str
    body: bytes


@dataclass(frozen=True)
class Requested:
    id: UUID
    topic: str
    partition: int
    pos: int
    body: bytes


async def bury(
    conn: Connection, pipeline: str, letters: Sequence[DeadLetter], *, now: datetime
) -> None:
    ids = [new_id() for _ in letters]
    count = len(letters)
    await conn.execute(
        _SQL["bury"],
        ids,
        [pipeline] * count,
        [x.topic for x in letters],
        [x.partition for x in letters],
        [x.pos for x in letters],
        [x.kafka_offset for x in letters],
        [x.reason for x in letters],
        [x.detail[:_DETAIL_CHARS] for x in letters],
        [x.key for x in letters],
        [x.body for x in letters],
    )
    copies = [
        (i, x.topic + DLQ_SUFFIX, x.key, _copy(i, pipeline, x, now))
        for i, x in zip(ids, letters, strict=True)
    ]
    await outbox.append_raw(conn, "stream", copies)


def _copy(letter_id: UUID, pipeline: str, letter: DeadLetter, now: datetime) -> bytes:
    payload = {
        "pipeline": pipeline,
        "topic": letter.topic,
        "partition": letter.partition,
        "pos": letter.pos,
        "reason": letter.reason,
        "detail": letter.detail[:_DETAIL_CHARS],
        "body_base64": base64.b64encode(letter.body).decode(),
    }
    envelope = Envelope(
        id=letter_id,
        type="dead.letter",
        version=1,
        occurred_at=now,
        key=letter.key,
        producer="stream",
        payload=msgspec.Raw(_encoder.encode(payload)),
    )
    return _encoder.encode(envelope)


class DeadLetters:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def positions(self, pipeline: str, topic: str, partition: int, *, since: int) -> set[int]:
        """Events that a replay of the partition must skip as it did the first time."""
        rows = await self._pool.fetch(_SQL["buried"], pipeline, topic, partition, since)
        return {row["pos"] for row in rows}

    async def requested(
        self, pipeline: str, places: Collection[tuple[str, int]], *, limit: int = 100
    ) -> list[Requested]:
        topics = [topic for topic, _ in places]
        partitions = [partition for _, partition in places]
        rows = await self._pool.fetch(_SQL["requested"], pipeline, topics, partitions, limit)
        return [Requested(*row.values()) for row in rows]

    async def reopen(self, letter_id: UUID, *, reason: str, detail: str) -> None:
        """A replay that failed again."""
        await self._pool.execute(_SQL["reopen"], letter_id, reason, detail[:_DETAIL_CHARS])

    async def all_replayed(self, ids: Sequence[UUID]) -> bool:
        return int(await self._pool.fetchval(_SQL["replayed_count"], ids)) == len(ids)

    async def find(
        self,
        *,
        pipeline: str | None = None,
        topic: str | None = None,
        status: str | None = None,
        limit: int = 50,
    ) -> Sequence[Record]:
        return await self._pool.fetch(_SQL["letters"], pipeline, topic, status, limit)

    async def show(self, letter_id: UUID) -> Record:
        row = await self._pool.fetchrow(_SQL["letter"], letter_id)
        if row is None:
            raise NotFound(f"no dead letter {letter_id}")
        return row

    async def request(
        self,
        *,
        by: str,
        now: datetime,
        ids: Sequence[UUID] | None = None,
        pipeline: str | None = None,
    ) -> list[UUID]:
        """Mark open letters for replay by the shard that owns them; None means every one. `by`
        is the login name of the shell that asks."""
        async with self._pool.transaction() as conn:
            rows = await conn.fetch(_SQL["request_replay"], ids, pipeline)
            found = [row["id"] for row in rows]
            if found:
                await audit.tell(conn, "stream", _told(found, by=by), now=now)
        return found


def _told(letters: Sequence[UUID], *, by: str) -> AuditEntry:
    named = [str(letter) for letter in letters[:_NAMED]]
    return AuditEntry(
        action="deadletters.replayed",
        outcome="done",
        actor=by,
        actor_kind="command",
        subject=named[0] if len(letters) == 1 else "",
        details={"letters": named, "count": len(letters)},
    )


async def mark_replayed(conn: Connection, ids: Sequence[UUID]) -> bool:
    """False when one of them is not waiting for a replay (any more)."""
    return await conn.execute(_SQL["replayed"], list(ids)) == f"UPDATE {len(ids)}"
