"""Guessing passwords, over HTTP and PostgreSQL, at two replicas at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.front_door import front_door
from integration.serve.serving import bearer

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.events.users import PasswordGuessed
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

URL = "/api/v1/auth"
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
async def replicas(settings: Settings, pool: Pool) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with (
        front_door(settings, (api, opened)) as one,
        front_door(settings, (api, opened)) as two,
    ):
        yield [one, two]


@pytest.fixture(autouse=True)
async def unknown(pool: Pool) -> None:
    """What other tests did is forgotten."""
    await pool.execute("DELETE FROM auth.guesses")


async def registered(client: httpx.AsyncClient, password: str = PASSWORD) -> dict[str, Any]:
    body = {
        "email": f"{new_id().hex}@example.org",
        "password": password,
        "display_name": "Some Body",
    }
    answer = await client.post(f"{URL}/register", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def log_in(
    client: httpx.AsyncClient, email: str, password: str, *, address: str
) -> httpx.Response:
    return await client.post(
        f"{URL}/login",
        json={"email": email, "password": password},
        headers={"x-forwarded-for": address},
    )


async def test_after_100_wrong_passwords_the_right_one_waits(
    replicas: list[httpx.AsyncClient], pool: Pool
) -> None:
    account = (await registered(replicas[0]))["account"]
    email = account["email"]
    assert (await log_in(replicas[0], email, PASSWORD, address="192.0.2.1")).status_code == 200
    found = [
        (await log_in(replicas[n % 2], email, f"wrong {n}", address="198.51.100.1")).status_code
        for n in range(100)
    ]
    assert found[:5] == [401] * 5
    assert found.count(401) < 12
    assert set(found) == {401, 429}
    refused = await log_in(replicas[0], email, PASSWORD, address="198.51.100.1")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    # The owner notices nothing where he was before, and can come from elsewhere.
    assert (await log_in(replicas[1], email, PASSWORD, address="192.0.2.1")).status_code == 200
    assert (await log_in(replicas[1], email, PASSWORD, address="203.0.113.1")).status_code == 200
    kept = await pool.fetchval("SELECT json_agg(g)::text FROM auth.guesses g")
    assert email not in kept
    assert "198.51.100.1" not in kept


async def test_all_at_once_are_counted_one_by_one(replicas: list[httpx.AsyncClient]) -> None:
    email = (await registered(replicas[0]))["account"]["email"]
    tries = (
        log_in(replicas[n % 2], email, f"wrong {n}", address="198.51.100.2") for n in range(40)
    )
    answers = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert answers.count(401) <= 7
    assert set(answers) == {401, 429}


async def test_an_ipv6_client_is_its_64(replicas: list[httpx.AsyncClient]) -> None:
    email = (await registered(replicas[0]))["account"]["email"]
    found = [
        (await log_in(replicas[0], email, "wrong one", address=f"2001:db8::{n:x}")).status_code
        for n in range(1, 12)
    ]
    assert found.count(401) <= 7
    other = await log_in(replicas[0], email, PASSWORD, address="2001:db8:0:1::1")
    assert other.status_code == 200


async def test_there_need_be_no_account(replicas: list[httpx.AsyncClient]) -> None:
    email = f"{new_id().hex}@example.org"
    found = [
        (await log_in(replicas[0], email, "wrong one", address="198.51.100.3")).status_code
        for _ in range(12)
    ]
    assert 429 in found


async def test_the_owner_is_told(replicas: list[httpx.AsyncClient], pool: Pool) -> None:
    account = (await registered(replicas[0]))["account"]
    for n in range(60):
        await log_in(replicas[n % 2], account["email"], "wrong one", address=f"198.51.100.{n}")
    rows = await pool.fetch(
        "SELECT body FROM auth.outbox WHERE topic = 'accounts' AND key = $1 ORDER BY seq",
        account["id"],
    )
    [event] = [decode(bytes(row["body"])).payload for row in rows[1:]]
    assert isinstance(event, PasswordGuessed)
    assert event.user_id == UUID(account["id"])
    assert 20 <= event.failures <= 22
    # Tried from everywhere: one wait, and in.
    first = await log_in(replicas[0], account["email"], PASSWORD, address="203.0.113.7")
    assert first.status_code == 429
    assert int(first.headers["retry-after"]) <= 5
    await asyncio.sleep(float(first.headers["retry-after"]))
    again = await log_in(replicas[1], account["email"], PASSWORD, address="203.0.113.7")
    assert again.status_code == 200


async def test_with_somebodys_session_it_is_no_easier(replicas: list[httpx.AsyncClient]) -> None:
    found = await registered(replicas[0])
    token = bearer(found["tokens"]["access_token"])
    statuses = []
    for n in range(30):
        body = {"current_password": f"wrong {n}", "new_password": "another long password"}
        answer = await replicas[n % 2].post(f"{URL}/me/password", json=body, headers=token)
        statuses.append(answer.status_code)
    assert set(statuses) == {422, 429}
    assert statuses.count(422) < 12


async def test_passwords_are_compared_after_nfc(replicas: list[httpx.AsyncClient]) -> None:
    composed, decomposed = "tr\u00e8s long mot de passe", "tre\u0300s long mot\u00a0de passe"
    email = (await registered(replicas[0], composed))["account"]["email"]
    for typed in (composed, decomposed):
        assert (await log_in(replicas[0], email, typed, address="192.0.2.9")).status_code == 200


@pytest.mark.parametrize("password", ["password123", "1234567890", " " * 10, "some.body.2026"])
async def test_what_everybody_tries_first_is_refused(
    replicas: list[httpx.AsyncClient], password: str
) -> None:
    body = {"email": "x@example.org", "password": password, "display_name": "Some Body"}
    answer = await replicas[0].post(f"{URL}/register", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "password"
    token = bearer((await registered(replicas[0]))["tokens"]["access_token"])
    change = {"current_password": PASSWORD, "new_password": password}
    answer = await replicas[0].post(f"{URL}/me/password", json=change, headers=token)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "new_password"
