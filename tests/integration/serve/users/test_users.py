"""Profiles and addresses, beside the real auth service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.front_door import front_door
from integration.serve.serving import bearer, ring

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.secrets.rows import sealed
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api as auth_api
from ecap.serve.auth.service import opened as auth_opened
from ecap.serve.users.models import MAX_ADDRESSES
from ecap.serve.users.routes import api
from ecap.serve.users.service import opened

URL = "/api/v1/users"
ADDRESS = {
    "recipient": "Some Body",
    "line1": "1 Long Street",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(settings, (auth_api, auth_opened), (api, opened)) as client:
        yield client


class User:
    def __init__(self, door: httpx.AsyncClient, registered: dict[str, Any]) -> None:
        self.door = door
        self.account = registered["account"]
        self.id = UUID(self.account["id"])
        self.headers = bearer(registered["tokens"]["access_token"])

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.door.get(URL + path, headers={**self.headers, **headers})

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.door.post(URL + path, json=body, headers=self.headers)

    async def patch(self, path: str, body: Any, *, etag: str | None) -> httpx.Response:
        headers = {**self.headers, **({"if-match": etag} if etag else {})}
        return await self.door.patch(URL + path, json=body, headers=headers)


async def new_user(door: httpx.AsyncClient) -> User:
    body = {
        "email": f"{new_id().hex}@example.org",
        "password": "a long enough password",
        "display_name": "Some Body",
    }
    answer = await door.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return User(door, answer.json())


@pytest.fixture
async def user(door: httpx.AsyncClient) -> User:
    return await new_user(door)


class TestProfile:
    async def test_is_there_before_the_event(self, user: User) -> None:
        answer = await user.get("/me")
        assert answer.status_code == 200
        profile = answer.json()
        assert profile["user_id"] == str(user.id)
        assert profile["email"] == user.account["email"]
        assert profile["registered_at"] == user.account["created_at"]

    async def test_the_event_and_the_question_make_the_same_row_once(
        self, user: User, pool: Pool
    ) -> None:
        answers = await asyncio.gather(*(user.get("/me") for _ in range(5)))
        assert {a.status_code for a in answers} == {200}
        assert len({a.text for a in answers}) == 1
        rows = await pool.fetch("SELECT * FROM users.profiles WHERE user_id = $1", user.id)
        assert len(rows) == 1

    async def test_one_that_the_stream_created_stays(
        self, user: User, pool: Pool, settings: Settings
    ) -> None:
        fields = {"email": "from@the.stream", "display_name": "Stream"}
        await pool.execute(
            "INSERT INTO users.profiles (user_id, sealed, registered_at) VALUES ($1, $2, now())",
            user.id,
            sealed(ring(settings), user.id, fields),
        )
        assert (await user.get("/me")).json()["email"] == "from@the.stream"

    async def test_a_change_needs_the_version_seen(self, user: User) -> None:
        etag = (await user.get("/me")).headers["etag"]
        change = {"phone": "+4930123456", "locale": "de-DE"}
        assert (await user.patch("/me", change, etag=None)).status_code == 428
        answer = await user.patch("/me", change, etag=etag)
        assert answer.status_code == 200
        assert answer.json()["phone"] == "+4930123456"
        assert answer.json()["display_name"] == "Some Body"
        assert (await user.patch("/me", change, etag=etag)).status_code == 412
        assert (
            await user.get("/me", **{"if-none-match": answer.headers["etag"]})
        ).status_code == 304

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"phone": "030 123"}, "phone"),
            ({"locale": "Deutsch"}, "locale"),
            ({"display_name": ""}, "display_name"),
            ({"email": "a@b.org"}, "email"),
        ],
    )
    async def test_says_what_is_wrong(self, user: User, change: dict[str, str], field: str) -> None:
        answer = await user.patch("/me", change, etag='"1"')
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field

    async def test_a_user_without_an_account(
        self, door: httpx.AsyncClient, user: User, pool: Pool
    ) -> None:
        await pool.execute("DELETE FROM auth.users WHERE id = $1", user.id)
        answer = await user.get("/me")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_is_for_its_owner(self, door: httpx.AsyncClient) -> None:
        assert (await door.get(f"{URL}/me")).status_code == 401


class TestAddresses:
    async def test_live_and_die(self, user: User) -> None:
        added = await user.post("/me/addresses", ADDRESS)
        assert added.status_code == 201
        path = added.headers["location"].removeprefix(URL)
        assert added.json()["is_default"] is True
        assert (await user.get(path)).json() == added.json()
        changed = await user.patch(path, {"line2": "Back house"}, etag=added.headers["etag"])
        assert changed.json()["line2"] == "Back house"
        assert changed.json()["city"] == "Berlin"
        stale = await user.patch(path, {"line2": ""}, etag=added.headers["etag"])
        assert stale.status_code == 412
        assert [a["id"] for a in (await user.get("/me/addresses")).json()["items"]] == [
            added.json()["id"]
        ]
        deleted = await user.door.delete(URL + path, headers=user.headers)
        assert deleted.status_code == 204
        assert (await user.get(path)).status_code == 404
        again = await user.door.delete(URL + path, headers=user.headers)
        assert again.status_code == 404

    async def test_at_most_one_is_the_default(self, user: User) -> None:
        first = (await user.post("/me/addresses", ADDRESS)).json()
        second = await user.post("/me/addresses", {**ADDRESS, "is_default": True})
        assert second.json()["is_default"] is True
        now = await user.get(f"/me/addresses/{first['id']}")
        assert now.json()["is_default"] is False
        back = await user.patch(
            f"/me/addresses/{first['id']}", {"is_default": True}, etag=now.headers["etag"]
        )
        assert back.status_code == 200
        found = (await user.get("/me/addresses")).json()["items"]
        assert [a["is_default"] for a in found] == [True, False]

    async def test_a_refused_change_leaves_the_default(self, user: User) -> None:
        first = (await user.post("/me/addresses", ADDRESS)).json()
        second = (await user.post("/me/addresses", ADDRESS)).json()
        answer = await user.patch(f"/me/addresses/{second['id']}", {"is_default": True}, etag='"9"')
        assert answer.status_code == 412
        assert (await user.get(f"/me/addresses/{first['id']}")).json() == first

    async def test_there_is_a_limit_even_for_the_hasty(self, user: User) -> None:
        answers = await asyncio.gather(
            *(user.post("/me/addresses", ADDRESS) for _ in range(MAX_ADDRESSES + 4))
        )
        statuses = [a.status_code for a in answers]
        assert statuses.count(201) == MAX_ADDRESSES
        assert statuses.count(409) == 4
        found = (await user.get("/me/addresses")).json()["items"]
        assert sum(a["is_default"] for a in found) == 1

    async def test_are_nobody_elses(self, door: httpx.AsyncClient, user: User) -> None:
        address = (await user.post("/me/addresses", ADDRESS)).json()
        other = await new_user(door)
        path = f"/me/addresses/{address['id']}"
        assert (await other.get(path)).status_code == 404
        assert (await other.patch(path, {"city": "X"}, etag='"1"')).status_code == 404
        answer = await door.delete(URL + path, headers=other.headers)
        assert answer.status_code == 404
        assert (await user.get(path)).json() == address

    @pytest.mark.parametrize("change", [{"country": "Germany"}, {"city": " "}, {"zip": "1"}])
    async def test_say_what_is_wrong(self, user: User, change: dict[str, str]) -> None:
        answer = await user.post("/me/addresses", {**ADDRESS, **change})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] in change


class TestReadingOthers:
    @pytest.fixture
    async def analyst(self, door: httpx.AsyncClient, pool: Pool) -> User:
        user = await new_user(door)
        await pool.execute(
            "UPDATE auth.users SET roles = '{analyst,customer}' WHERE id = $1", user.id
        )
        body = {"email": user.account["email"], "password": "a long enough password"}
        tokens = (await door.post("/api/v1/auth/login", json=body)).json()
        return User(door, {"account": user.account, "tokens": tokens})

    async def test_takes_a_scope(self, user: User) -> None:
        assert (await user.get(f"/{user.id}")).status_code == 403

    async def test_finds_profile_and_addresses(self, user: User, analyst: User) -> None:
        await user.post("/me/addresses", ADDRESS)
        assert (await analyst.get(f"/{user.id}")).json() == (await user.get("/me")).json()
        found = (await analyst.get(f"/{user.id}/addresses")).json()
        assert found == (await user.get("/me/addresses")).json()
        for path in (f"/{new_id()}", f"/{new_id()}/addresses", "/nonsense"):
            assert (await analyst.get(path)).status_code == 404


async def test_without_auth_a_fresh_replica_knows_nobody(
    settings: Settings, pool: Pool, user: User
) -> None:
    await user.get("/me")
    async with front_door(settings, (api, opened)) as alone:
        answer = await alone.get(f"{URL}/me", headers=user.headers)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
