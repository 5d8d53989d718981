"""Refresh tokens that come twice: another tab or a lost answer within the grace, a thief after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from integration.serve.auth.visitors import URL, Visitor, visitor
from integration.serve.front_door import claims_of, front_door

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened

ME = f"{URL}/me"


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(settings, (api, opened)) as client:
        yield client


async def let_pass(pool: Pool, token: str) -> None:
    """The grace of a used token."""
    changed = await pool.execute(
        "UPDATE auth.refresh_tokens SET successor_until = now() WHERE hash = sha256($1)",
        token.encode(),
    )
    assert changed == "UPDATE 1"


async def test_at_once_all_get_the_same_successor(door: httpx.AsyncClient) -> None:
    who = await visitor(door)
    for _ in range(5):
        answers = await asyncio.gather(*(who.refresh() for _ in range(3)))
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        for answer in answers:
            token = answer.json()["access_token"]
            me = await door.get(ME, headers={"authorization": f"Bearer {token}"})
            assert me.status_code == 200
        sessions = {claims_of(answer.json()["access_token"])[1]["sid"] for answer in answers}
        assert len(sessions) == 1
        who.tokens["refresh_token"] = successor


async def test_at_once_in_two_replicas(settings: Settings, pool: Pool) -> None:
    async with (
        front_door(settings, (api, opened)) as one,
        front_door(settings, (api, opened)) as other,
    ):
        who = await visitor(one)
        twin = Visitor(other, who.email, tokens=who.tokens)
        answers = await asyncio.gather(*(w.refresh() for w in (who, twin) * 4))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_a_repeat_after_a_lost_answer_goes_on(door: httpx.AsyncClient) -> None:
    who = await visitor(door)
    lost = (await who.refresh()).json()["refresh_token"]
    again = (await who.refresh()).json()["refresh_token"]
    assert again == lost
    assert (await who.refresh(again)).status_code == 200


async def test_a_late_tab_catches_up(door: httpx.AsyncClient) -> None:
    """Within the grace, also when the others have gone on by two."""
    who = await visitor(door)
    first = who.tokens["refresh_token"]
    second = (await who.refresh(first)).json()["refresh_token"]
    third = (await who.refresh(second)).json()["refresh_token"]
    assert (await who.refresh(first)).json()["refresh_token"] == second
    assert (await who.refresh(second)).json()["refresh_token"] == third


async def test_after_the_grace_a_second_use_ends_the_session(
    door: httpx.AsyncClient, pool: Pool
) -> None:
    who = await visitor(door)
    other = await who.log_in()
    first = who.tokens["refresh_token"]
    second = (await who.refresh(first)).json()["refresh_token"]
    await let_pass(pool, first)
    assert (await who.refresh(first)).status_code == 401
    assert (await who.refresh(second)).status_code == 401
    # The other session is another matter.
    assert (await other.refresh()).status_code == 200


async def test_after_the_grace_of_many_at_once_none_gets_in(
    door: httpx.AsyncClient, pool: Pool
) -> None:
    who = await visitor(door)
    first = who.tokens["refresh_token"]
    second = (await who.refresh(first)).json()["refresh_token"]
    await let_pass(pool, first)
    answers = await asyncio.gather(*(who.refresh(first) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {401}
    assert (await who.refresh(second)).status_code == 401


@pytest.mark.parametrize("end", ["log out", "disable"])
async def test_the_grace_outlives_no_session(door: httpx.AsyncClient, pool: Pool, end: str) -> None:
    who = await visitor(door)
    first = who.tokens["refresh_token"]
    assert (await who.refresh(first)).status_code == 200
    if end == "log out":
        await who.log_out()
    else:
        await pool.execute(
            "UPDATE auth.users SET disabled_at = now() WHERE id = $1::text::uuid", who.id
        )
    assert (await who.refresh(first)).status_code == 401


async def test_without_a_grace_of_many_at_once_one_is_the_second(
    settings: Settings, pool: Pool
) -> None:
    strict = settings.auth.model_copy(update={"refresh_grace_s": 0.0})
    async with front_door(settings.model_copy(update={"auth": strict}), (api, opened)) as client:
        who = await visitor(client)
        answers = await asyncio.gather(*(who.refresh() for _ in range(4)))
        assert sorted(a.status_code for a in answers) == [200, 401, 401, 401]
        winner = next(a for a in answers if a.status_code == 200)
        assert (await who.refresh(winner.json()["refresh_token"])).status_code == 401


async def test_the_successor_rests_sealed_and_is_erased(settings: Settings, pool: Pool) -> None:
    brief = settings.auth.model_copy(update={"refresh_grace_s": 1.0})
    async with front_door(settings.model_copy(update={"auth": brief}), (api, opened)) as client:
        who = await visitor(client)
        token = who.tokens["refresh_token"]
        successor = (await who.refresh()).json()["refresh_token"]

        async def resting() -> bytes | None:
            found: bytes | None = await pool.fetchval(
                "SELECT successor FROM auth.refresh_tokens WHERE hash = sha256($1)", token.encode()
            )
            return found

        sealed = await resting()
        assert sealed is not None
        assert successor.encode() not in sealed
        dump = await pool.fetchval("SELECT json_agg(t)::text FROM auth.refresh_tokens t")
        assert successor not in dump
        assert token not in dump
        async with asyncio.timeout(10):
            while await resting() is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await who.refresh(token)).status_code == 401
        assert (await who.refresh(successor)).status_code == 401
