"""Encrypted columns of PostgreSQL, and how far encrypting them again has come."""

from __future__ import annotations

from collections.abc import Callable

from ecap.clients.postgres import Pool
from ecap.clients.queries import load_queries
from ecap.config.hub import states as kept
from ecap.config.secrets.keyring.ring import Keyring
from ecap.config.secrets.rotation import Batch, renewed_text

_SQL = load_queries(__package__, "rotation.sql")

Again = Callable[[Keyring, bytes, str], bytes]
"""A value and where it stands, under the first key; the same when it is already.
Raises Misconfigured for a value that no key opens."""


def token(ring: Keyring, value: bytes, where: str) -> bytes:
    return value if ring.is_current(value) else ring.renew(value, where=where)


def text(ring: Keyring, value: bytes, where: str) -> bytes:
    """Each `enc:` in it."""
    return renewed_text(value.decode(errors="surrogateescape"), ring, where=where).encode(
        errors="surrogateescape"
    )


class ColumnEntries:
    """Values in one column (bytea); NULL holds none. `only` is a condition on the rows.

    The names are constants of the code: they become part of the statement.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        table: str,
        key: str,
        key_type: str,
        column: str,
        only: str = "true",
        again: Again = token,
    ) -> None:
        self.name = f"{table}.{column}"
        self._pool = pool
        self._again = again
        names = {"table": table, "key": key, "key_type": key_type, "column": column, "only": only}
        self._next = _SQL["next_entries"].format(**names)
        self._replace = _SQL["replace_entry"].format(**names)

    async def batch(self, ring: Keyring, *, after: str, limit: int) -> Batch:
        rows = await self._pool.fetch(self._next, after or None, limit)
        renewed = 0
        for row in rows:
            value = row["token"]
            if value is None:
                continue
            fresh = self._again(ring, value, f"{self.name} of {row['key']}")
            if fresh != value:
                await self._pool.execute(self._replace, row["key"], value, fresh)
                renewed += 1
        return Batch(rows[-1]["key"] if len(rows) == limit else None, len(rows), renewed)


def states(pool: Pool) -> ColumnEntries:
    """The accepted configurations of the history, and the `enc:` values in all but the newest."""
    return ColumnEntries(
        pool,
        table="config.states",
        key="version",
        key_type="bigint",
        column="sealed",
        only="version < (SELECT max(version) FROM config.states)",
        again=kept.again,
    )


def newest_state(pool: Pool) -> ColumnEntries:
    """And the `enc:` values of its overrides; the hub renews those it holds by itself."""
    return ColumnEntries(
        pool,
        table="config.states",
        key="version",
        key_type="bigint",
        column="sealed",
        only="version = (SELECT max(version) FROM config.states)",
        # Not the layers beneath: they are as the sources have them, and have to show which of those
        # still needs an old key (`retirement.refuse`).
        again=kept.overrides_again,
    )


def personal(pool: Pool) -> list[ColumnEntries]:
    """Every column that holds personal data or key material, and the events that carry them."""

    def column(table: str, key: str, key_type: str = "uuid", name: str = "sealed") -> ColumnEntries:
        return ColumnEntries(pool, table=table, key=key, key_type=key_type, column=name)

    def bodies(table: str, key: str, key_type: str, topic: str) -> ColumnEntries:
        only = f"topic = '{topic}'"
        return ColumnEntries(
            pool, table=table, key=key, key_type=key_type, column="body", only=only, again=text
        )

    # Events first: what a stream writes meanwhile is found in the tables.
    return [
        bodies("auth.outbox", "seq", "bigint", "accounts"),
        bodies("stream.outbox", "seq", "bigint", "accounts.dlq"),
        bodies("stream.dead_letters", "id", "uuid", "accounts"),
        column("auth.users", "id"),
        column("auth.lookup_keys", "name", "text"),
        column("auth.signing_keys", "kid", "text", "wrapped"),
        column("users.profiles", "user_id"),
        column("users.addresses", "id"),
        column("notifications.contacts", "user_id"),
        column("orders.orders", "id"),
    ]


async def on_their_way(pool: Pool) -> dict[tuple[str, int], int]:
    """Registrations by partition: the end that every pipeline has to pass before none of
    now is under way."""
    rows = await pool.fetch(_SQL["registrations_written"])
    return {(row["topic"], row["partition"]): row["next_pos"] for row in rows}


async def not_arrived(pool: Pool, ends: dict[tuple[str, int], int]) -> list[str]:
    """Pipelines that have not come to `ends`, and registrations that have no place yet."""
    rows = await pool.fetch(_SQL["registrations_read"])
    late = [
        f"{row['pipeline']} {row['topic']}/{row['partition']}"
        for row in rows
        if row["next_pos"] < ends.get((row["topic"], row["partition"]), 0)
    ]
    unplaced: int = await pool.fetchval(_SQL["registrations_unplaced"])
    return late + ([f"auth.outbox: {unplaced} not sent"] if unplaced else [])


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
