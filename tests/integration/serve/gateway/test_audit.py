"""`GET /api/v1/audit`, in front of the auth service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from integration.serve.front_door import front_door
from integration.serve.serving import bearer

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api as auth_api
from ecap.serve.auth.service import opened as auth_opened
from ecap.serve.gateway.routes import api
from ecap.serve.gateway.service import opened

Mint = Callable[..., str]
URL = "/api/v1/audit"
START = datetime(2026, 3, 1, tzinfo=UTC)
MANY = 1203


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(settings, (api, opened), (auth_api, auth_opened)) as client:
        yield client


async def registered(door: httpx.AsyncClient) -> dict[str, Any]:
    body = {
        "email": f"{new_id().hex}@example.org",
        "password": "a long enough password",
        "display_name": "Some Body",
    }
    found: dict[str, Any] = (await door.post("/api/v1/auth/register", json=body)).json()
    return found


@pytest.fixture(scope="module")
async def customer(door: httpx.AsyncClient) -> dict[str, Any]:
    return await registered(door)


@pytest.fixture(scope="module")
async def operator(door: httpx.AsyncClient, settings: Settings) -> dict[str, str]:
    assert settings.auth.admin_email is not None
    assert settings.auth.admin_password is not None
    password = settings.auth.admin_password.get_secret_value()
    body = {"email": settings.auth.admin_email, "password": password}
    admin = bearer((await door.post("/api/v1/auth/login", json=body)).json()["access_token"])
    made = await registered(door)
    user_id, email = made["account"]["id"], made["account"]["email"]
    answer = await door.patch(
        f"/api/v1/auth/users/{user_id}",
        json={"roles": ["operator"]},
        headers={**admin, "if-match": '"1"'},
    )
    assert answer.status_code == 200, answer.text
    body = {"email": email, "password": "a long enough password"}
    return bearer((await door.post("/api/v1/auth/login", json=body)).json()["access_token"])


@pytest.fixture(scope="module")
async def subject(pool: Pool, customer: dict[str, Any]) -> str:
    """Of many entries, a minute apart, by the customer."""
    subject = f"subject-{new_id()}"
    await pool.execute(
        """INSERT INTO audit.entries
               (id, at, source, action, outcome, actor, actor_kind, subject, address,
                request_id, details)
           SELECT gen_random_uuid(), $1::timestamptz + n / 2 * interval '1 minute', 'auth',
                  CASE WHEN n % 3 = 0 THEN 'login' ELSE 'logout' END,
                  CASE WHEN n % 5 = 0 THEN 'failed' ELSE 'done' END,
                  $2, 'user', $3, '192.0.2.1', 'r', jsonb_build_object('n', n)
           FROM generate_series(0, $4::int - 1) AS n""",
        START,
        customer["account"]["id"],
        subject,
        MANY,
    )
    return subject


async def pages(
    door: httpx.AsyncClient, headers: dict[str, str], **query: Any
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        answer = await door.get(URL, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if "next_cursor" not in answer.json():
            return found
        query["cursor"] = answer.json()["next_cursor"]


async def test_pages_hold_each_entry_once_newest_first(
    door: httpx.AsyncClient, operator: dict[str, str], customer: dict[str, Any], subject: str
) -> None:
    found = await pages(door, operator, subject=subject, limit=100)
    assert sorted(entry["details"]["n"] for entry in found) == list(range(MANY))
    assert [entry["at"] for entry in found] == sorted((e["at"] for e in found), reverse=True)
    assert {entry["actor_email"] for entry in found} == {customer["account"]["email"]}


async def test_filters(
    door: httpx.AsyncClient, operator: dict[str, str], customer: dict[str, Any], subject: str
) -> None:
    since, until = START + timedelta(minutes=10), START + timedelta(minutes=20)
    found = await pages(
        door,
        operator,
        subject=subject,
        actor=customer["account"]["id"],
        action="login",
        outcome="failed",
        since=since.isoformat(),
        until=until.isoformat(),
    )
    wanted = [n for n in range(20, 40) if n % 15 == 0]
    assert sorted(entry["details"]["n"] for entry in found) == wanted
    assert await pages(door, operator, subject=subject, actor="nobody") == []


@pytest.mark.parametrize("way", ["accept", "format"])
async def test_json_lines_hold_everything(
    door: httpx.AsyncClient, operator: dict[str, str], subject: str, way: str
) -> None:
    query = {"subject": subject, **({"format": "jsonl"} if way == "format" else {})}
    headers = {"accept": "application/x-ndjson"} if way == "accept" else {}
    answer = await door.get(URL, params=query, headers={**operator, **headers})
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [e["id"] for e in found] == [
        e["id"] for e in await pages(door, operator, subject=subject, limit=100)
    ]
    assert "@" not in answer.text


async def test_who_may_not_read_it(door: httpx.AsyncClient, customer: dict[str, Any]) -> None:
    token = bearer(customer["tokens"]["access_token"])
    assert (await door.get(URL, headers=token)).status_code == 403
    assert (await door.get(URL)).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"outcome": "maybe"},
        {"since": "yesterday"},
        {"since": "2026-03-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"cursor": "x"},
        {"cursor": "x", "format": "jsonl"},
        {"format": "csv"},
        {"limit": "0"},
    ],
)
async def test_a_wrong_question_is_the_callers(
    door: httpx.AsyncClient, operator: dict[str, str], query: dict[str, str]
) -> None:
    assert (await door.get(URL, params=query, headers=operator)).status_code == 422


async def test_without_the_auth_service_the_ids_have_to_do(
    replica: Any, mint: Mint, subject: str, customer: dict[str, Any]
) -> None:
    async with replica(api, opened) as alone:
        headers = bearer(mint("operator"))
        answer = await alone.get(URL, params={"subject": subject}, headers=headers)
    assert answer.status_code == 200, answer.text
    entry = answer.json()["items"][0]
    assert entry["actor"] == customer["account"]["id"]
    assert "actor_email" not in entry
