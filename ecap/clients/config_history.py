"""The configuration history in PostgreSQL, schema `config`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ecap.clients.postgres import Pool, Record, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.config.hub.history import Entry, Event, chained
from ecap.errors import Fenced

_SQL = load_queries(__package__, "config_history.sql")


class PostgresHistory:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(
        self, events: Sequence[Event], *, after: Entry | None, state: bytes | None
    ) -> Entry:
        """Raises Fenced when another hub was there first, Unavailable."""
        entries = chained(events, after)
        last = entries[-1]
        rows = [_row(entry, state if entry is last else None) for entry in entries]
        try:
            async with self._pool.connection() as conn:
                await conn.executemany(_SQL["append"], rows)  # all or none, in one round trip
        except UniqueViolation as exc:
            if await self.last() == last:
                return last  # an earlier attempt whose answer was lost
            raise Fenced("another hub has written to the configuration history") from exc
        return last

    async def entries(self, *, after_seq: int = 0, limit: int | None = None) -> Sequence[Entry]:
        return [_entry(row) for row in await self._pool.fetch(_SQL["entries"], after_seq, limit)]

    async def last(self) -> Entry | None:
        row = await self._pool.fetchrow(_SQL["last"])
        return None if row is None else _entry(row)

    async def hubs(self) -> list[str]:
        """Where the hubs are that hold a connection. One that has been idle for as long as
        its pool keeps connections holds none."""
        return [row["place"] for row in await self._pool.fetch(_SQL["hubs"])]

    async def state(self, version: int) -> bytes | None:
        sealed: bytes | None = await self._pool.fetchval(_SQL["state"], version)
        return sealed


def _row(entry: Entry, state: bytes | None) -> tuple[Any, ...]:
    body = msgspec.json.encode(entry.body).decode()
    return (*msgspec.structs.astuple(msgspec.structs.replace(entry, body=body)), state)


def _entry(row: Record) -> Entry:
    fields = dict(row)
    fields["body"] = msgspec.json.decode(fields["body"])
    return Entry(**fields)
