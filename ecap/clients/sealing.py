"""What older releases kept in plain text, sealed while the schema moves on.

Each step runs in the transaction of the migration that drops the plain columns.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.ring import PREFIX
from ecap.config.secrets.rows import sealed
from ecap.domain.events import codec
from ecap.domain.events.envelope import Envelope
from ecap.errors import Misconfigured

_SQL = load_queries(__package__, "sealing.sql")
LOOKUP_KEY = "email"


class Sealer(Protocol):
    def seal(self, plain: bytes) -> bytes: ...

    def open(self, token: bytes, *, where: str) -> bytes: ...


Keys = Callable[[], Sealer]
"""Asked only when there is something to seal. Raises Misconfigured when there is no keyring."""
Step = Callable[[Connection, Keys], Awaitable[None]]


def no_keyring() -> Sealer:
    raise Misconfigured("rows in plain text have to be encrypted: set keyring.source")


def email_hash(key: bytes, email: str) -> bytes:
    return hmac.digest(key, email.lower().encode(), "sha256")


async def _accounts(conn: Connection, keys: Keys) -> None:
    rows = await conn.fetch("SELECT id, email, display_name FROM auth.users")
    if rows:
        ring = keys()
        key = await _lookup_key(conn, ring)
        await conn.executemany(
            "UPDATE auth.users SET sealed = $2, email_hash = $3 WHERE id = $1",
            [(r["id"], _sealed(ring, dict(r), "id"), email_hash(key, r["email"])) for r in rows],
        )
    for name in ("auth_outbox", "dead_letters", "dead_outbox"):
        await _registrations(conn, keys, name)


async def _shipping(conn: Connection, keys: Keys) -> None:
    rows = await conn.fetch("SELECT id, shipping FROM orders.orders WHERE shipping IS NOT NULL")
    for row in rows:
        given = msgspec.json.decode(row["shipping"], type=dict[str, str | None])
        fields = {name: text for name, text in given.items() if text is not None}
        token = sealed(keys(), row["id"], fields)
        await conn.execute("UPDATE orders.orders SET sealed = $2 WHERE id = $1", row["id"], token)


async def _lookup_key(conn: Connection, ring: Sealer) -> bytes:
    key = secrets.token_bytes(32)
    await conn.execute(
        "INSERT INTO auth.lookup_keys (name, sealed) VALUES ($1, $2)", LOOKUP_KEY, ring.seal(key)
    )
    return key


async def _registrations(conn: Connection, keys: Keys, name: str) -> None:
    rows = await conn.fetch(_SQL[f"plain_{name}"])
    renewed = [(row["key"], registration(row["body"], keys)) for row in rows]
    await conn.executemany(_SQL[f"seal_{name}"], [pair for pair in renewed if pair[1]])


class _Plain(msgspec.Struct):
    user_id: UUID
    email: str
    display_name: str


def registration(body: bytes, keys: Keys) -> bytes | None:
    """user.registered version 1 as version 2; None for everything else."""
    try:
        envelope = codec.decode_envelope(body)
        if (envelope.type, envelope.version) != ("user.registered", 1):
            return None
        user = msgspec.json.decode(envelope.payload, type=_Plain)
    except (codec.EventError, msgspec.MsgspecError):
        return None
    fields = {"email": user.email, "display_name": user.display_name}
    token = PREFIX + sealed(keys(), user.user_id, fields).decode()
    payload = msgspec.json.encode({"user_id": user.user_id, "sealed": token})
    changed = {"version": 2, "payload": msgspec.Raw(payload)}
    return msgspec.json.encode(Envelope(**{**msgspec.structs.asdict(envelope), **changed}))


def _rows(table: str, key: str, *columns: str) -> Step:
    read = f"SELECT {', '.join((key, *columns))} FROM {table}"  # noqa: S608  constants, below
    write = f"UPDATE {table} SET sealed = $2 WHERE {key} = $1"  # noqa: S608  constants, below

    async def step(conn: Connection, keys: Keys) -> None:
        rows = await conn.fetch(read)
        if rows:
            ring = keys()
            await conn.executemany(
                write, [(row[key], _sealed(ring, dict(row), key)) for row in rows]
            )

    return step


def _sealed(ring: Sealer, row: Mapping[str, Any], key: str) -> bytes:
    return sealed(ring, row[key], {name: value for name, value in row.items() if name != key})


STEPS: Mapping[str, tuple[Step, ...]] = {
    "auth/0004_only_sealed.sql": (_accounts,),
    "notifications/0004_only_sealed.sql": (
        _rows("notifications.contacts", "user_id", "email", "display_name"),
    ),
    "orders/0004_only_sealed.sql": (_shipping,),
    "users/0004_only_sealed.sql": (
        _rows("users.profiles", "user_id", "email", "display_name", "phone"),
        _rows(
            *("users.addresses", "id", "label", "recipient", "line1", "line2"),
            *("city", "region", "postal_code", "country"),
        ),
    ),
}
"""By the migration that each precedes."""
