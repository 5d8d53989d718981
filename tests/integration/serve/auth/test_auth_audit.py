"""What auth tells the security log, in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from integration.serve.front_door import front_door
from integration.serve.serving import bearer

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.codec import decode
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

URL = "/api/v1/auth"
PASSWORD = "a long enough password"
WRONG = "certainly not the password"


@pytest.fixture(scope="module")
async def auth(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    # What slows guessing down, and what forgives a second tab, have tests of their own.
    patient = settings.auth.model_copy(update={"free_guesses": 100, "refresh_grace_s": 0.0})
    chosen = settings.model_copy(update={"auth": patient})
    async with front_door(chosen, (api, opened)) as client:
        yield client


@pytest.fixture
async def account(auth: httpx.AsyncClient) -> dict[str, Any]:
    body = {
        "email": f"{new_id().hex}@example.org",
        "password": PASSWORD,
        "display_name": "Some Body",
    }
    answer = await auth.post(f"{URL}/register", json=body)
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
async def admin(auth: httpx.AsyncClient, settings: Settings) -> dict[str, str]:
    assert settings.auth.admin_email is not None
    assert settings.auth.admin_password is not None
    password = settings.auth.admin_password.get_secret_value()
    answer = await log_in(auth, settings.auth.admin_email, password)
    return bearer(answer.json()["access_token"])


async def log_in(
    auth: httpx.AsyncClient, email: str, password: str, **headers: str
) -> httpx.Response:
    body = {"email": email, "password": password}
    return await auth.post(f"{URL}/login", json=body, headers=headers)


async def told(pool: Pool, subject: str) -> list[AuditEntry]:
    rows = await pool.fetch(
        "SELECT body FROM auth.outbox WHERE topic = 'audit-auth' AND key = $1 ORDER BY seq", subject
    )
    entries = [decode(bytes(row["body"])).payload for row in rows]
    assert all(isinstance(entry, AuditEntry) for entry in entries)
    return entries  # type: ignore[return-value]


async def test_a_session_from_its_beginning_to_its_end(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    user_id, email = account["account"]["id"], account["account"]["email"]
    answer = await log_in(auth, email, PASSWORD, **{"x-request-id": "the-request"})
    token = {"refresh_token": answer.json()["refresh_token"]}
    for _ in range(2):
        assert (await auth.post(f"{URL}/logout", json=token)).status_code == 204
    created, logged_in, logged_out = await told(pool, user_id)
    assert (created.action, created.actor_kind) == ("account.created", "anonymous")
    assert created.details == {"roles": ["customer"]}
    assert logged_in == AuditEntry(
        action="login",
        outcome="done",
        actor=user_id,
        actor_kind="user",
        subject=user_id,
        address="127.0.0.1",
        request_id="the-request",
    )
    assert (logged_out.action, logged_out.actor) == ("logout", user_id)


async def test_a_token_that_comes_twice_is_told_once(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    body = {"refresh_token": account["tokens"]["refresh_token"]}
    answers = [(await auth.post(f"{URL}/refresh", json=body)).status_code for _ in range(5)]
    assert answers == [200, 401, 401, 401, 401]
    entries = await told(pool, account["account"]["id"])
    assert [(e.action, e.outcome) for e in entries[1:]] == [("refresh.reused", "refused")]


async def test_what_an_administrator_changed(
    auth: httpx.AsyncClient, account: dict[str, Any], admin: dict[str, str], pool: Pool
) -> None:
    user_id = account["account"]["id"]
    for version, change in enumerate(({"roles": ["analyst"]}, {"disabled": True}, {}), start=1):
        headers = {**admin, "if-match": f'"{version}"'}
        answer = await auth.patch(f"{URL}/users/{user_id}", json=change, headers=headers)
        assert answer.status_code == 200, answer.text
    answer = await log_in(auth, account["account"]["email"], PASSWORD)
    assert answer.status_code == 403
    roles, disabled, refused = (await told(pool, user_id))[1:]
    assert roles.details == {"roles": {"from": ["customer"], "to": ["analyst"]}}
    assert disabled.details == {"disabled": {"from": False, "to": True}}
    assert {roles.actor_kind, disabled.actor_kind} == {"user"}
    assert roles.actor not in (user_id, "anonymous")
    assert (refused.action, refused.outcome) == ("login", "refused")


async def test_a_change_that_is_refused_tells_nothing(
    auth: httpx.AsyncClient, account: dict[str, Any], admin: dict[str, str], pool: Pool
) -> None:
    user_id = account["account"]["id"]
    headers = {**admin, "if-match": '"7"'}
    answer = await auth.patch(f"{URL}/users/{user_id}", json={"disabled": True}, headers=headers)
    assert answer.status_code == 412
    assert len(await told(pool, user_id)) == 1


async def test_a_password_is_changed_or_not(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    headers = bearer(account["tokens"]["access_token"])
    for present in (WRONG, PASSWORD):
        body = {"current_password": present, "new_password": "another long password"}
        await auth.post(f"{URL}/me/password", json=body, headers=headers)
    failed, done = (await told(pool, account["account"]["id"]))[1:]
    assert (failed.action, failed.outcome) == ("password.changed", "failed")
    assert (done.action, done.outcome, done.details) == ("password.changed", "done", {})


async def test_failures_of_an_account_are_told_ever_more_rarely(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    user_id, email = account["account"]["id"], account["account"]["email"]
    for _ in range(12):
        assert (await log_in(auth, email, WRONG)).status_code == 401
    entries = (await told(pool, user_id))[1:]
    assert [e.details["in_this_hour"] for e in entries] == [1, 2, 3, 4, 5, 10]
    assert {(e.action, e.outcome, e.actor) for e in entries} == {("login", "failed", "anonymous")}
    assert {e.details["reason"] for e in entries} == {"password"}


async def test_a_new_hour_is_counted_anew(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    user_id, email = account["account"]["id"], account["account"]["email"]
    for _ in range(7):
        await log_in(auth, email, WRONG)
    slot = f"account:{user_id}"
    await pool.execute(
        "UPDATE auth.failures SET hour = hour - interval '1 hour' WHERE slot = $1", slot
    )
    await log_in(auth, email, WRONG)
    assert (await told(pool, user_id))[-1].details["in_this_hour"] == 1
    assert await pool.fetchval("SELECT count(*) FROM auth.failures WHERE slot = $1", slot) == 1


async def test_an_unknown_email_is_a_keyed_hash_and_cannot_fill_the_disk(
    auth: httpx.AsyncClient, pool: Pool
) -> None:
    await pool.execute("DELETE FROM auth.failures WHERE slot !~ '^account:'")
    before = await pool.fetchval("SELECT coalesce(max(seq), 0) FROM auth.outbox")
    emails = [f"{new_id().hex}@example.org" for _ in range(45)]
    for email in emails:
        assert (await log_in(auth, email, WRONG)).status_code == 401
    rows = await pool.fetch("SELECT key, body FROM auth.outbox WHERE seq > $1", before)
    assert len(rows) == 20 + 1  # each until twenty, then the fortieth
    assert len({row["key"] for row in rows}) == 21
    whole = b"".join(bytes(row["body"]) for row in rows)
    assert b"email:" in whole
    for secret in (WRONG, *emails, *(email.partition("@")[0] for email in emails)):
        assert secret.encode() not in whole
    slots = await pool.fetchval("SELECT count(*) FROM auth.failures WHERE slot !~ '^account:'")
    assert slots == 2


async def test_what_cannot_be_told_does_not_happen(
    auth: httpx.AsyncClient, account: dict[str, Any], pool: Pool
) -> None:
    user_id, email = account["account"]["id"], account["account"]["email"]
    sessions = "SELECT count(*) FROM auth.sessions WHERE user_id = $1::text::uuid"
    before = await pool.fetchval(sessions, user_id)
    await pool.execute(
        "ALTER TABLE auth.outbox ADD CONSTRAINT shut CHECK (topic <> 'audit-auth') NOT VALID"
    )
    try:
        assert (await log_in(auth, email, PASSWORD)).status_code >= 500
    finally:
        await pool.execute("ALTER TABLE auth.outbox DROP CONSTRAINT shut")
    assert await pool.fetchval(sessions, user_id) == before


async def test_emails_are_looked_up_by_who_reads_the_log(
    auth: httpx.AsyncClient, account: dict[str, Any], admin: dict[str, str]
) -> None:
    user_id, email = account["account"]["id"], account["account"]["email"]
    query = {"ids": f"{user_id},{new_id()}"}
    answer = await auth.get(f"{URL}/emails", params=query, headers=admin)
    assert answer.json() == {"emails": {user_id: email}}
    customer = bearer(account["tokens"]["access_token"])
    assert (await auth.get(f"{URL}/emails", params=query, headers=customer)).status_code == 403
    for wrong in ("", "x", f"{user_id},", "x" * 4000):
        answer = await auth.get(f"{URL}/emails", params={"ids": wrong}, headers=admin)
        assert answer.status_code == 422


async def test_the_first_administrator_is_nobodys_request(pool: Pool, settings: Settings) -> None:
    rows = await pool.fetch("SELECT body FROM auth.outbox WHERE topic = 'audit-auth'")
    entries = [decode(bytes(row["body"])).payload for row in rows]
    made = [
        entry for entry in entries if isinstance(entry, AuditEntry) and entry.actor_kind == "system"
    ]
    assert {(entry.action, entry.actor) for entry in made} == {("account.created", "auth")}
    assert made[0].details == {"roles": ["admin", "customer"]}
