"""Sessions: listed, ended one by one or all at once, and over some day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.auth.visitors import (
    URL,
    Visitor,
    administrator,
    ended_within,
    visitor,
)
from integration.serve.front_door import claims_of, front_door

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

ME, SESSIONS = f"{URL}/me", f"{URL}/sessions"


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(settings, (api, opened)) as client:
        yield client


@pytest.fixture(scope="module")
async def admin(door: httpx.AsyncClient, settings: Settings) -> Visitor:
    return await administrator(door, settings)


async def listed(who: Visitor, **query: Any) -> list[dict[str, Any]]:
    answer = await who.ask("GET", SESSIONS, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def session_of(who: Visitor) -> str:
    return str(claims_of(who.tokens["access_token"])[1]["sid"])


async def test_own_sessions_newest_first(door: httpx.AsyncClient, settings: Settings) -> None:
    first = await visitor(door)
    second, third = await first.log_in(), await first.log_in()
    await third.log_out()
    found = await listed(first)
    assert [one["id"] for one in found] == [session_of(second), session_of(first)]
    assert [one["current"] for one in found] == [False, True]
    begun, ends, expires = (
        datetime.fromisoformat(found[0][name]) for name in ("created_at", "ends_at", "expires_at")
    )
    assert ends - begun == timedelta(seconds=settings.auth.session_ttl_s)
    assert expires - begun == timedelta(seconds=settings.auth.refresh_ttl_s)
    assert found[0]["refreshed_at"] == found[0]["created_at"]
    await second.refresh()
    again = await listed(first)
    assert again[0]["refreshed_at"] > found[0]["refreshed_at"]


async def test_pages_through_all_once(door: httpx.AsyncClient) -> None:
    who = await visitor(door)
    mine = {session_of(who)} | {session_of(await who.log_in()) for _ in range(4)}
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await who.ask("GET", SESSIONS, params=query)).json()
        seen += [one["id"] for one in page["items"]]
        if page.get("next_cursor") is None:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == 5
    assert set(seen) == mine


async def test_one_is_ended_the_others_go_on(door: httpx.AsyncClient) -> None:
    who = await visitor(door)
    other = await who.log_in()
    path = f"{SESSIONS}/{session_of(other)}"
    assert (await who.ask("DELETE", path)).status_code == 204
    assert (await who.ask("DELETE", path)).status_code == 404
    await ended_within(other, ME)
    assert (await other.refresh()).status_code == 401
    assert (await who.ask("GET", ME)).status_code == 200
    assert [one["id"] for one in await listed(who)] == [session_of(who)]


async def test_log_out_everywhere(door: httpx.AsyncClient) -> None:
    who, bystander = await visitor(door), await visitor(door)
    other = await who.log_in()
    assert (await who.ask("DELETE", SESSIONS)).status_code == 204
    for one in (who, other):
        await ended_within(one, ME)
        assert (await one.refresh()).status_code == 401
    again = await who.log_in()
    assert [one["id"] for one in await listed(again)] == [session_of(again)]
    assert (await bystander.ask("GET", ME)).status_code == 200


async def test_those_of_others_are_nobody_elses_business(
    door: httpx.AsyncClient, pool: Pool
) -> None:
    who, stranger = await visitor(door), await visitor(door)
    for method in ("GET", "DELETE"):
        answer = await stranger.ask(method, SESSIONS, params={"user_id": who.id})
        assert answer.status_code == 403
        assert answer.json()["scope"] == "auth:admin"
    answer = await stranger.ask("DELETE", f"{SESSIONS}/{session_of(who)}")
    assert answer.status_code == 404
    assert (await stranger.ask("DELETE", f"{SESSIONS}/{new_id()}")).status_code == 404
    assert (await who.refresh()).status_code == 200


async def test_staff_list_and_end_those_of_others(door: httpx.AsyncClient, admin: Visitor) -> None:
    who = await visitor(door)
    other, third = await who.log_in(), await who.log_in()
    found = await listed(admin, user_id=who.id)
    assert {one["id"] for one in found} == {session_of(one) for one in (who, other, third)}
    assert not any(one["current"] for one in found)
    assert (await admin.ask("DELETE", f"{SESSIONS}/{session_of(other)}")).status_code == 204
    await ended_within(other, ME)
    assert (await admin.ask("DELETE", SESSIONS, params={"user_id": who.id})).status_code == 204
    for one in (who, third):
        await ended_within(one, ME)
        assert (await one.refresh()).status_code == 401
    nobody = await admin.ask("DELETE", SESSIONS, params={"user_id": str(new_id())})
    assert nobody.status_code == 404
    assert (await admin.ask("GET", ME)).status_code == 200


async def test_a_session_lasts_no_longer_than_it_may(settings: Settings, pool: Pool) -> None:
    short = settings.auth.model_copy(update={"session_ttl_s": 600})
    async with front_door(settings.model_copy(update={"auth": short}), (api, opened)) as client:
        who = await visitor(client)
        assert who.tokens["expires_in"] == 600
        await pool.execute(
            "UPDATE auth.sessions SET created_at = created_at - interval '590 s' WHERE id = $1",
            UUID(session_of(who)),
        )
        who.tokens = (await who.refresh()).json()
        claims = claims_of(who.tokens["access_token"])[1]
        assert claims["exp"] - claims["iat"] <= 10
        assert who.tokens["expires_in"] <= 10
        (found,) = await listed(who)
        assert found["expires_at"] == found["ends_at"]
        await pool.execute(
            "UPDATE auth.sessions SET created_at = created_at - interval '10 s' WHERE id = $1",
            UUID(session_of(who)),
        )
        answer = await who.refresh()
        assert answer.status_code == 401
        assert "expired" in answer.json()["detail"]
        assert await listed(who) == []
