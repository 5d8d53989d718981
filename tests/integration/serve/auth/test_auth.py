"""Accounts and tokens, over HTTP and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from integration.serve.front_door import claims_of, front_door
from integration.serve.serving import bearer

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.codec import decode
from ecap.domain.events.users import UserRegistered
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

URL = "/api/v1/auth"
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
async def auth(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(settings, (api, opened)) as client:
        yield client


def somebody(**changes: Any) -> dict[str, Any]:
    return {
        "email": f"{new_id().hex}@example.org",
        "password": PASSWORD,
        "display_name": "Some Body",
        **changes,
    }


async def registered(auth: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await auth.post(f"{URL}/register", json=somebody(**changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def log_in(auth: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await auth.post(f"{URL}/login", json={"email": email, "password": password})


async def refresh(auth: httpx.AsyncClient, token: str) -> httpx.Response:
    return await auth.post(f"{URL}/refresh", json={"refresh_token": token})


@pytest.fixture(scope="module")
async def admin(auth: httpx.AsyncClient, settings: Settings) -> dict[str, str]:
    assert settings.auth.admin_email is not None
    assert settings.auth.admin_password is not None
    answer = await log_in(
        auth, settings.auth.admin_email, settings.auth.admin_password.get_secret_value()
    )
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["access_token"])


class TestRegister:
    async def test_opens_an_account_and_a_session(self, auth: httpx.AsyncClient) -> None:
        body = somebody()
        answer = await auth.post(f"{URL}/register", json=body)
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        found = answer.json()
        assert found["account"]["email"] == body["email"]
        assert found["account"]["roles"] == ["customer"]
        assert PASSWORD not in answer.text

        me = await auth.get(f"{URL}/me", headers=bearer(found["tokens"]["access_token"]))
        assert me.json() == found["account"]

    async def test_commits_its_event(self, auth: httpx.AsyncClient, pool: Pool) -> None:
        account = (await registered(auth))["account"]
        rows = await pool.fetch(
            "SELECT * FROM auth.outbox WHERE key = $1 AND topic = 'accounts'", account["id"]
        )
        assert len(rows) == 1
        event = decode(bytes(rows[0]["body"]))
        row = await pool.fetchrow("SELECT * FROM auth.users WHERE id = $1", UUID(account["id"]))
        assert row is not None
        sealed = "enc:" + row["sealed"].decode()
        assert event.payload == UserRegistered(user_id=UUID(account["id"]), sealed=sealed)
        assert event.occurred_at.isoformat() == account["created_at"].replace("Z", "+00:00")

    async def test_an_email_is_taken_in_any_case(self, auth: httpx.AsyncClient, pool: Pool) -> None:
        email = (await registered(auth))["account"]["email"]
        answer = await auth.post(f"{URL}/register", json=somebody(email=email.upper()))
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["field"] == "email"
        body = {"email": email.upper(), "password": PASSWORD}
        assert (await auth.post(f"{URL}/login", json=body)).status_code == 200

    async def test_at_once_only_one_gets_the_email(
        self, auth: httpx.AsyncClient, pool: Pool
    ) -> None:
        body = somebody()
        answers = await asyncio.gather(*(auth.post(f"{URL}/register", json=body) for _ in range(6)))
        assert sorted(a.status_code for a in answers) == [201, 409, 409, 409, 409, 409]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"password": "too short"}, "password"),
            ({"password": "x" * 129}, "password"),
            ({"email": "no-at-sign"}, "email"),
            ({"email": "a@b"}, "email"),
            ({"email": "a@b.org\r\nbcc: c@d.org"}, "email"),
            ({"display_name": "   "}, "display_name"),
            ({"roles": ["admin"]}, "roles"),
        ],
    )
    async def test_says_what_is_wrong(
        self, auth: httpx.AsyncClient, change: dict[str, Any], field: str
    ) -> None:
        answer = await auth.post(f"{URL}/register", json=somebody(**change))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
        assert PASSWORD not in answer.text

    async def test_the_email_is_no_password(self, auth: httpx.AsyncClient) -> None:
        body = somebody()
        answer = await auth.post(
            f"{URL}/register", json={**body, "password": body["email"].upper()}
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "password"


class TestLogIn:
    async def test_gives_a_token_of_our_kind(
        self, auth: httpx.AsyncClient, settings: Settings
    ) -> None:
        account = (await registered(auth))["account"]
        answer = await log_in(auth, account["email"].upper(), PASSWORD)
        assert answer.status_code == 200
        tokens = answer.json()
        assert tokens["token_type"] == "Bearer"
        assert tokens["expires_in"] == settings.auth.access_ttl_s
        header, claims = claims_of(tokens["access_token"])
        assert header["typ"] == "at+jwt"
        assert header["alg"] == "Ed25519"
        assert claims["sub"] == account["id"]
        assert claims["exp"] - claims["iat"] == settings.auth.access_ttl_s
        assert set(claims) == {
            *("iss", "aud", "sub", "iat", "exp", "jti", "roles", "scope", "sid", "epoch")
        }
        assert claims["scope"] == tokens["scope"]

    async def test_wrong_password_and_unknown_email_look_the_same(
        self, auth: httpx.AsyncClient
    ) -> None:
        email = (await registered(auth))["account"]["email"]
        wrong = await log_in(auth, email, "not the password")
        unknown = await log_in(auth, f"{new_id().hex}@example.org", PASSWORD)
        for answer in (wrong, unknown):
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert wrong.json()["detail"] == unknown.json()["detail"]

    async def test_an_unreadable_hash_is_a_wrong_password(
        self, auth: httpx.AsyncClient, pool: Pool
    ) -> None:
        account = (await registered(auth))["account"]
        await pool.execute(
            "UPDATE auth.users SET password_hash = 'x' WHERE id = $1", UUID(account["id"])
        )
        assert (await log_in(auth, account["email"], PASSWORD)).status_code == 401

    async def test_a_hash_of_old_parameters_is_renewed(
        self, auth: httpx.AsyncClient, pool: Pool
    ) -> None:
        account = (await registered(auth))["account"]
        old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        user_id = UUID(account["id"])
        await pool.execute("UPDATE auth.users SET password_hash = $2 WHERE id = $1", user_id, old)
        assert (await log_in(auth, account["email"], PASSWORD)).status_code == 200
        new = await pool.fetchval("SELECT password_hash FROM auth.users WHERE id = $1", user_id)
        assert new != old
        assert (await log_in(auth, account["email"], PASSWORD)).status_code == 200


class TestRefresh:
    async def test_rotates(self, auth: httpx.AsyncClient) -> None:
        token = (await registered(auth))["tokens"]["refresh_token"]
        seen = {token}
        for _ in range(3):
            answer = await refresh(auth, token)
            assert answer.status_code == 200
            token = answer.json()["refresh_token"]
            seen.add(token)
        assert len(seen) == 4

    async def test_only_hashes_are_kept(self, auth: httpx.AsyncClient, pool: Pool) -> None:
        token = (await registered(auth))["tokens"]["refresh_token"]
        kept = await pool.fetchval(
            "SELECT count(*) FROM auth.refresh_tokens WHERE hash = sha256($1)", token.encode()
        )
        assert kept == 1
        dump = await pool.fetchval("SELECT json_agg(t)::text FROM auth.refresh_tokens t")
        assert token not in dump

    async def test_an_expired_token(self, auth: httpx.AsyncClient, pool: Pool) -> None:
        token = (await registered(auth))["tokens"]["refresh_token"]
        await pool.execute(
            "UPDATE auth.refresh_tokens SET expires_at = now() WHERE hash = sha256($1)",
            token.encode(),
        )
        answer = await refresh(auth, token)
        assert answer.status_code == 401
        assert "expired" in answer.json()["detail"]

    async def test_is_no_access_token_and_the_other_way_round(
        self, auth: httpx.AsyncClient
    ) -> None:
        tokens = (await registered(auth))["tokens"]
        me = await auth.get(f"{URL}/me", headers=bearer(tokens["refresh_token"]))
        assert me.status_code == 401
        assert (await refresh(auth, "tokens.access.nonsense")).status_code == 401

    async def test_log_out_ends_it(self, auth: httpx.AsyncClient) -> None:
        token = (await registered(auth))["tokens"]["refresh_token"]
        for _ in range(2):
            answer = await auth.post(f"{URL}/logout", json={"refresh_token": token})
            assert answer.status_code == 204
        assert (await refresh(auth, token)).status_code == 401


class TestChangePassword:
    async def test_ends_all_sessions_and_begins_one(self, auth: httpx.AsyncClient) -> None:
        found = await registered(auth)
        answer = await auth.post(
            f"{URL}/me/password",
            headers=bearer(found["tokens"]["access_token"]),
            json={"current_password": PASSWORD, "new_password": "another long password"},
        )
        assert answer.status_code == 200
        assert (await refresh(auth, found["tokens"]["refresh_token"])).status_code == 401
        assert (await refresh(auth, answer.json()["refresh_token"])).status_code == 200
        email = found["account"]["email"]
        assert (await log_in(auth, email, PASSWORD)).status_code == 401
        assert (await log_in(auth, email, "another long password")).status_code == 200

    @pytest.mark.parametrize(
        ("current", "new", "field"),
        [
            ("not the password", "another long password", "current_password"),
            (PASSWORD, "short", "new_password"),
        ],
    )
    async def test_says_what_is_wrong(
        self, auth: httpx.AsyncClient, current: str, new: str, field: str
    ) -> None:
        found = await registered(auth)
        answer = await auth.post(
            f"{URL}/me/password",
            headers=bearer(found["tokens"]["access_token"]),
            json={"current_password": current, "new_password": new},
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


class TestAdministration:
    async def test_is_not_for_customers(self, auth: httpx.AsyncClient) -> None:
        headers = bearer((await registered(auth))["tokens"]["access_token"])
        answer = await auth.get(f"{URL}/users", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["scope"] == "auth:admin"

    async def test_pages_through_everybody_once(
        self, auth: httpx.AsyncClient, admin: dict[str, str], pool: Pool
    ) -> None:
        for _ in range(3):
            await registered(auth)
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await auth.get(f"{URL}/users", headers=admin, params=params)).json()
            seen += [item["id"] for item in page["items"]]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == await pool.fetchval("SELECT count(*) FROM auth.users")

    async def test_roles_hold_from_the_next_token(
        self, auth: httpx.AsyncClient, admin: dict[str, str]
    ) -> None:
        found = await registered(auth)
        url = f"{URL}/users/{found['account']['id']}"
        etag = (await auth.get(url, headers=admin)).headers["etag"]
        answer = await auth.patch(
            url, headers={**admin, "if-match": etag}, json={"roles": ["customer", "analyst"]}
        )
        assert answer.status_code == 200
        assert answer.json()["roles"] == ["analyst", "customer"]
        again = await auth.patch(
            url, headers={**admin, "if-match": etag}, json={"roles": ["customer"]}
        )
        assert again.status_code == 412
        tokens = (await refresh(auth, found["tokens"]["refresh_token"])).json()
        assert "fraud:review" in tokens["scope"].split()

    async def test_the_disabled_stay_outside(
        self, auth: httpx.AsyncClient, admin: dict[str, str]
    ) -> None:
        found = await registered(auth)
        url = f"{URL}/users/{found['account']['id']}"
        changed = await auth.patch(
            url, headers={**admin, "if-match": '"1"'}, json={"disabled": True}
        )
        assert changed.json()["disabled"] is True
        email = found["account"]["email"]
        assert (await refresh(auth, found["tokens"]["refresh_token"])).status_code == 401
        assert (await log_in(auth, email, PASSWORD)).status_code == 403
        assert (await log_in(auth, email, "not the password")).status_code == 401
        await auth.patch(url, headers={**admin, "if-match": '"2"'}, json={"disabled": False})
        assert (await log_in(auth, email, PASSWORD)).status_code == 200

    @pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["customer"]}])
    async def test_the_last_administrator_stays(
        self,
        auth: httpx.AsyncClient,
        admin: dict[str, str],
        settings: Settings,
        change: dict[str, Any],
    ) -> None:
        found = await auth.get(
            f"{URL}/users", headers=admin, params={"email": str(settings.auth.admin_email)}
        )
        account = found.json()["items"][0]
        url = f"{URL}/users/{account['id']}"
        headers = {**admin, "if-match": f'"{account["version"]}"'}
        answer = await auth.patch(url, headers=headers, json=change)
        assert answer.status_code == 409
        assert (await auth.get(url, headers=admin)).json() == account

    async def test_nobody(self, auth: httpx.AsyncClient, admin: dict[str, str]) -> None:
        url = f"{URL}/users/{new_id()}"
        assert (await auth.get(url, headers=admin)).status_code == 404
        answer = await auth.patch(url, headers={**admin, "if-match": '"1"'}, json={})
        assert answer.status_code == 404
