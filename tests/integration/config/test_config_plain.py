"""A database of an older release, with people in plain text in it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pydantic import SecretStr

from ecap.clients import migrations, sealing
from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.domain.events.codec import decode
from ecap.domain.events.users import UserRegistered
from ecap.errors import Misconfigured
from ecap.local.state.folder import open_state

ANA = UUID(int=1)
EVENT = {
    "id": UUID(int=5),
    "type": "user.registered",
    "version": 1,
    "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
    "key": str(ANA),
    "producer": "auth",
    "payload": {"user_id": ANA, "email": "ana@planted.example", "display_name": "planted"},
}


@pytest.fixture
async def old(servers: Any, settings: Settings) -> AsyncIterator[Pool]:
    """An empty database at the schema before."""
    secrets = open_state(Path(servers.state_dir)).secrets
    password = SecretStr((secrets / "postgres_superuser_password").read_text())
    admin = settings.postgres.model_copy(update={"user": "postgres", "password": password})
    there = settings.postgres.model_copy(update={"database": "older"})
    async with open_pool(admin, service="test") as root:
        await root.execute("CREATE DATABASE older OWNER ecap")
        try:
            async with open_pool(there, service="test") as pool:
                yield pool
        finally:
            await root.execute("DROP DATABASE older WITH (FORCE)")


async def test_people_are_sealed_on_the_way(old: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = list(migrations.available())
    before = [m for m in everything if "sealed" not in m.name]
    assert len(before) < len(everything)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "available", lambda: iter(before))
        await migrate(old)
    body = msgspec.json.encode(EVENT)
    for statement, *values in (
        (
            "INSERT INTO auth.users (id, email, password_hash, display_name, created_at)"
            " VALUES ($1, 'Ana@planted.example', 'x', 'planted', now())",
            ANA,
        ),
        (
            "INSERT INTO auth.outbox (id, topic, key, body) VALUES ($1, 'accounts', 'x', $2)",
            UUID(int=5),
            body,
        ),
        (
            "INSERT INTO auth.outbox (id, topic, key, body) VALUES ($1, 'accounts', 'x', $2)",
            UUID(int=6),
            b"no event",
        ),
        (
            "INSERT INTO users.profiles (user_id, email, display_name, phone, registered_at)"
            " VALUES ($1, 'ana@planted.example', 'planted', '+49planted', now())",
            ANA,
        ),
        (
            "INSERT INTO users.addresses (id, user_id, recipient, line1, city, postal_code,"
            " country) VALUES ($1, $1, 'planted', 'planted', 'planted', 'planted', 'DE')",
            ANA,
        ),
        (
            "INSERT INTO notifications.contacts VALUES"
            " ($1, 'ana@planted.example', 'planted', now())",
            ANA,
        ),
        (
            "INSERT INTO orders.orders (id, user_id, status, amount, currency, decision, score,"
            " reasons, shipping, placed_at, changed_at) VALUES ($1, $1, 'approved', 1, 'USD',"
            """ 'approve', 0, '{}', '{"city": "planted", "line2": null}', now(), now())""",
            ANA,
        ),
        (
            "INSERT INTO orders.idempotency VALUES ($1, 'k', 'f', 201, '[]', $2, now())",
            ANA,
            b'{"amount":"1.00","shipping":{"city":"planted"}}',
        ),
        ("INSERT INTO auth.signing_keys VALUES ('k', 'w', '{}', now(), now(), now())",),
    ):
        await old.execute(statement, *values)
    with pytest.raises(Misconfigured, match=r"have to be encrypted: set keyring\.source"):
        await migrate(old)
    ring = Keyring([new_key(now=time.time())])
    applied = await migrate(old, keys=lambda: ring)
    assert "users/0004_only_sealed.sql" in applied
    assert await migrate(old) == []

    async def opened(query: str) -> dict[str, str]:
        found: dict[str, str] = msgspec.json.decode(ring.open(await old.fetchval(query), where=""))
        assert found.pop("row") == str(ANA)
        return found

    person = {"email": "ana@planted.example", "display_name": "planted"}
    assert await opened("SELECT sealed FROM users.profiles") == {**person, "phone": "+49planted"}
    assert await opened("SELECT sealed FROM notifications.contacts") == person
    assert (await opened("SELECT sealed FROM users.addresses"))["country"] == "DE"
    assert await opened("SELECT sealed FROM orders.orders") == {"city": "planted"}
    kept = await old.fetchval("SELECT body FROM orders.idempotency")
    assert msgspec.json.decode(kept) == {"amount": "1.00"}
    assert await opened("SELECT sealed FROM auth.users") == {
        **person,
        "email": "Ana@planted.example",
    }
    key = ring.open(await old.fetchval("SELECT sealed FROM auth.lookup_keys"), where="")
    hashed = await old.fetchval("SELECT email_hash FROM auth.users")
    assert hashed == sealing.email_hash(key, "aNa@planted.example")
    event = decode(await old.fetchval("SELECT body FROM auth.outbox ORDER BY seq LIMIT 1"))
    assert isinstance(event.payload, UserRegistered)
    token = event.payload.sealed.removeprefix("enc:").encode()
    assert b"ana@planted.example" in ring.open(token, where="")
    assert await old.fetchval("SELECT count(*) FROM auth.signing_keys WHERE wrapped IS NULL") == 1
