"""Personal data at rest: nothing readable in a dump, and keys rotate under load."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.front_door import front_door
from integration.serve.serving import bearer
from pydantic import SecretStr

from ecap.clients.migrations import migrate
from ecap.clients.postgres import Pool, open_pool
from ecap.clients.rotation import PostgresProgress, personal
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import Keyring, new_key
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.secrets.rotation import renew
from ecap.domain.values.ids import new_id
from ecap.local.state.folder import open_state
from ecap.local.state.runtime import Runtime
from ecap.serve.auth.routes import api as auth_api
from ecap.serve.auth.service import opened as auth_opened
from ecap.serve.users.routes import api
from ecap.serve.users.service import opened

ME = "/api/v1/users/me"
PASSWORD = "a planted-password 17"
PLANTED = "planted-canary-44"


@pytest.fixture
async def here(servers: Runtime, settings: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """With a keyring and a database of its own: others have sealed with theirs."""
    secrets = open_state(Path(servers.state_dir)).secrets
    password = SecretStr((secrets / "postgres_superuser_password").read_text())
    admin = settings.postgres.model_copy(update={"user": "postgres", "password": password})
    path = tmp_path / "keyring"
    FileKeyring(path, Plain()).save(Keyring([new_key(now=time.time())]), revision=None)
    update = {"source": "file", "file": path, "poll_s": 60.0, "trust_s": 3600.0}
    async with open_pool(admin, service="test") as root:
        await root.execute("CREATE DATABASE sealed OWNER ecap")
        try:
            yield settings.model_copy(
                update={
                    "keyring": settings.keyring.model_copy(update=update),
                    "postgres": settings.postgres.model_copy(update={"database": "sealed"}),
                }
            )
        finally:
            await root.execute("DROP DATABASE sealed WITH (FORCE)")


@pytest.fixture
async def pool(here: Settings) -> AsyncIterator[Pool]:
    async with open_pool(here.postgres, service="test") as opened:
        await migrate(opened)
        yield opened


@pytest.fixture
async def door(here: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(here, (auth_api, auth_opened), (api, opened)) as client:
        yield client


def rotated(settings: Settings) -> Keyring:
    assert settings.keyring.file is not None
    store = FileKeyring(settings.keyring.file, Plain())
    kept = store.load()
    added = kept.ring.add(now=time.time())
    ring = added.promote(added.keys[-1].id)
    store.save(ring, revision=kept.revision)
    return ring


async def somebody(door: httpx.AsyncClient) -> dict[str, Any]:
    body = {
        "email": f"{PLANTED}-{new_id().hex}@example.org",
        "password": PASSWORD,
        "display_name": f"{PLANTED} Person",
    }
    answer = await door.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return {"headers": bearer(answer.json()["tokens"]["access_token"]), **body}


async def with_everything(door: httpx.AsyncClient) -> dict[str, Any]:
    person = await somebody(door)
    headers = person["headers"]
    profile = await door.get(ME, headers=headers)
    change = {"phone": "+4915733344455", "locale": "de-DE"}
    etag = {"if-match": profile.headers["etag"]}
    assert (await door.patch(ME, json=change, headers={**headers, **etag})).status_code == 200
    address = {
        name: f"{PLANTED} {name}"
        for name in ("label", "recipient", "line1", "line2", "city", "region")
    }
    body = {**address, "postal_code": PLANTED, "country": "ZW"}
    assert (await door.post(f"{ME}/addresses", json=body, headers=headers)).status_code == 201
    return person


async def dump(pool: Pool) -> bytes:
    """Every table as text, and every bytea as it is."""
    found = b""
    tables = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    for table in tables:
        for row in await pool.fetch(f"SELECT * FROM {table['name']}"):
            for value in row.values():
                found += bytes(value) if isinstance(value, bytes) else str(value).encode()
                found += b"\n"
    return found


async def test_a_dump_shows_nobody(door: httpx.AsyncClient, pool: Pool) -> None:
    person = await with_everything(door)
    found = (await dump(pool)).lower()
    assert len(found) > 1000
    for planted in (PLANTED, PASSWORD, "+4915733344455"):
        assert planted.encode().lower() not in found
        assert planted.encode().hex().encode() not in found
    addresses = (await door.get(f"{ME}/addresses", headers=person["headers"])).json()
    assert addresses["items"][0]["line1"] == f"{PLANTED} line1"
    assert addresses["items"][0]["country"] == "ZW"


async def test_keys_rotate_under_load(door: httpx.AsyncClient, here: Settings, pool: Pool) -> None:
    people = [await with_everything(door) for _ in range(3)]
    done = 0
    stop = False

    async def load(person: dict[str, Any]) -> None:
        nonlocal done
        headers, log_in = person["headers"], {k: person[k] for k in ("email", "password")}
        while not stop:
            profile = await door.get(ME, headers=headers)
            assert profile.json()["email"] == person["email"], profile.text
            assert (await door.get(f"{ME}/addresses", headers=headers)).status_code == 200
            if done % 7 == 0:
                assert (await door.post("/api/v1/auth/login", json=log_in)).status_code == 200
                await somebody(door)
            done += 1

    async with asyncio.TaskGroup() as group:
        for person in people:
            group.create_task(load(person))
        for _ in range(2):
            ring = rotated(here)
            count = await renew(personal(pool), ring, PostgresProgress(pool))
            assert count >= 11
            enough = done + 8
            async with asyncio.timeout(30):
                while done < enough:  # noqa: ASYNC110  counted by the load
                    await asyncio.sleep(0.01)
        stop = True
    await renew(personal(pool), ring, PostgresProgress(pool))
    alone = functools.reduce(lambda r, key: r.retire(key.id), ring.keys[1:], ring)
    assert await renew(personal(pool), alone, PostgresProgress(pool)) == 0
    assert here.keyring.file is not None
    store = FileKeyring(here.keyring.file, Plain())
    store.save(alone, revision=store.load().revision)
    for person in people:
        assert (await door.get(ME, headers=person["headers"])).status_code == 200


async def test_what_was_altered_is_refused_and_named_in_the_log(
    door: httpx.AsyncClient, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    person = await with_everything(door)
    user = UUID((await door.get(ME, headers=person["headers"])).json()["user_id"])
    sealed = await pool.fetchval("SELECT sealed FROM users.profiles WHERE user_id = $1", user)
    await pool.execute(
        "UPDATE users.profiles SET sealed = $2 WHERE user_id = $1", user, sealed[:-4] + b"AAAA"
    )
    answer = await door.get(ME, headers=person["headers"])
    assert answer.status_code == 500
    assert "keyring" not in answer.text
    assert f"users.profiles.sealed of {user}: not encrypted with a key" in caplog.text
    for planted in (PLANTED, PASSWORD):
        assert planted not in caplog.text + answer.text
