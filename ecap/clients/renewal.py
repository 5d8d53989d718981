"""Encrypted columns of PostgreSQL, and how far encrypting them again has come."""

from __future__ import annotations

from ecap.clients.postgres import Pool, load_queries
from ecap.config.keyring import Keyring
from ecap.config.renewal import Batch

_SQL = load_queries("ecap.clients", "renewal.sql")


class ColumnEntries:
    """Fernet tokens (bytea) in one column; NULL holds none.

    The names are constants of the code: they become part of the statement.
    """

    def __init__(self, pool: Pool, *, table: str, key: str, key_type: str, column: str) -> None:
        self.name = f"{table}.{column}"
        self._pool = pool
        names = {"table": table, "key": key, "key_type": key_type, "column": column}
        self._next = _SQL["next_entries"].format(**names)
        self._replace = _SQL["replace_entry"].format(**names)

    async def batch(self, ring: Keyring, *, after: str, limit: int) -> Batch:
        rows = await self._pool.fetch(self._next, after or None, limit)
        renewed = 0
        for row in rows:
            token = row["token"]
            if token is None or ring.is_current(token):
                continue
            fresh = ring.renew(token, where=f"{self.name} of {row['key']}")
            await self._pool.execute(self._replace, row["key"], token, fresh)
            renewed += 1
        return Batch(rows[-1]["key"] if len(rows) == limit else None, len(rows), renewed)


def states(pool: Pool) -> ColumnEntries:
    """The accepted configurations of the history."""
    return ColumnEntries(
        pool, table="config.states", key="version", key_type="bigint", column="sealed"
    )


class PostgresProgress:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, target: str, key_id: str) -> str | None:
        after: str | None = await self._pool.fetchval(_SQL["load_progress"], target, key_id)
        return after

    async def save(self, target: str, key_id: str, *, after: str, done: int) -> None:
        await self._pool.execute(_SQL["save_progress"], target, key_id, after, done)

    async def clear(self, target: str, key_id: str) -> None:
        await self._pool.execute(_SQL["clear_progress"], target, key_id)
