"""The configuration history in PostgreSQL, schema `config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ecap.clients import audit
from ecap.clients.postgres import Pool, Record, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.config.hub.history import Entry, Event, Kind, chained
from ecap.domain.events.audit import Action, AuditEntry, Outcome, storable
from ecap.errors import Fenced

_SQL = load_queries(__package__, "config_history.sql")
# What the security log hears of; the steps in between are the history's own.
_TOLD: Mapping[Kind, tuple[Action, Outcome]] = {
    "booted": ("config.booted", "done"),
    "applied": ("config.changed", "done"),
    "refused": ("config.changed", "refused"),
    "rolled-back": ("config.undone", "done"),
}
_PERSONAL = {"auth.admin_email": "(personal)"}
_NAMED = 100


class PostgresHistory:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(
        self, events: Sequence[Event], *, after: Entry | None, state: bytes | None
    ) -> Entry:
        """Raises Fenced when another hub was there first, Unavailable."""
        entries = chained(events, after)
        last = entries[-1]
        befores = [after, *entries]
        told = [t for pair in zip(entries, befores, strict=False) if (t := _audited(*pair))]
        rows = [_row(entry, state if entry is last else None) for entry in entries]
        try:
            async with self._pool.transaction() as conn:
                await conn.executemany(_SQL["append"], rows)
                await audit.tell(conn, "config", *told, now=datetime.fromtimestamp(last.at, UTC))
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


def _audited(entry: Entry, before: Entry | None) -> AuditEntry | None:
    """For the security log: what was decided, and what was refused. Values of a refusal stay
    out of it, as nobody has said of them yet that they are no secrets."""
    if entry.kind not in _TOLD:
        return None
    action, outcome = _TOLD[entry.kind]
    changes = {
        key: _PERSONAL.get(key, change) for key, change in entry.body.get("changes", {}).items()
    }
    keys = sorted(changes) or _wanted(entry, before)
    details = {"version": entry.version, "entry": entry.seq, "keys": keys[:_NAMED]}
    full = {**details, "changes": changes}
    origin = entry.body.get("origin", {})
    return AuditEntry(
        action=action,
        outcome=outcome,
        actor=entry.author,
        actor_kind=origin.get("kind", "system"),
        subject=keys[0] if len(keys) == 1 else "",
        address=origin.get("address", ""),
        request_id=origin.get("request_id", ""),
        details=full if changes and storable(full) else details,
    )


def _wanted(entry: Entry, before: Entry | None) -> list[str]:
    """The settings that its edit names. A member's refusal has it in the proposal before."""
    edit = entry.body.get("edit")
    if edit is None and before is not None and before.version == entry.version:
        edit = before.body.get("edit")
    edit = edit or {}
    return sorted({*edit.get("sets", ()), *edit.get("unsets", ())})


def _row(entry: Entry, state: bytes | None) -> tuple[Any, ...]:
    body = msgspec.json.encode(entry.body).decode()
    return (*msgspec.structs.astuple(msgspec.structs.replace(entry, body=body)), state)


def _entry(row: Record) -> Entry:
    fields = dict(row)
    fields["body"] = msgspec.json.decode(fields["body"])
    return Entry(**fields)
