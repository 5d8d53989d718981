"""Access ends with the account, its roles, its password or its session: in every replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.auth.visitors import (
    PASSWORD,
    URL,
    WITHIN_S,
    Visitor,
    administrator,
    ended_within,
    hired,
    visitor,
)
from integration.serve.front_door import front_door
from integration.serve.serving import serving

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.values.ids import new_id
from ecap.serve.analytics.routes import api as analytics
from ecap.serve.analytics.service import opened as open_analytics
from ecap.serve.auth.routes import api
from ecap.serve.auth.service import opened
from ecap.serve.orders.routes import api as orders
from ecap.serve.orders.service import opened as open_orders
from ecap.serve.replica.replica import build

ME = f"{URL}/me"
ORDERS = "/api/v1/orders"
LIVE = "/api/v1/analytics/live"


@pytest.fixture(scope="module")
async def door(settings: Settings, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with front_door(
        settings, (api, opened), (orders, open_orders), (analytics, open_analytics)
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def admin(door: httpx.AsyncClient, settings: Settings, pool: Pool) -> AsyncIterator[Visitor]:
    found = await administrator(door, settings)
    yield found
    # Others count on being the last one.
    await pool.execute(
        "UPDATE auth.users SET roles = '{customer}' WHERE 'admin' = ANY (roles) AND id <> $1",
        UUID(found.id),
    )


End = Callable[[Visitor, Visitor, Pool], Awaitable[None]]


async def disabled(admin: Visitor, who: Visitor, pool: Pool) -> None:
    assert (await admin.change(who, disabled=True)).status_code == 200


async def demoted(admin: Visitor, who: Visitor, pool: Pool) -> None:
    assert (await admin.change(who, roles=["customer"])).status_code == 200


async def changed_password(admin: Visitor, who: Visitor, pool: Pool) -> None:
    body = {"current_password": PASSWORD, "new_password": "another long password"}
    answer = await who.ask("POST", f"{ME}/password", json=body)
    assert answer.status_code == 200, answer.text


async def logged_out(admin: Visitor, who: Visitor, pool: Pool) -> None:
    await who.log_out()


async def logged_out_everywhere(admin: Visitor, who: Visitor, pool: Pool) -> None:
    other = await who.log_in()
    assert (await other.ask("DELETE", f"{URL}/sessions")).status_code == 204


async def reused_a_token(admin: Visitor, who: Visitor, pool: Pool) -> None:
    token = who.tokens["refresh_token"]
    assert (await who.refresh()).status_code == 200
    await pool.execute(
        "UPDATE auth.refresh_tokens SET successor_until = now() WHERE hash = sha256($1)",
        token.encode(),
    )
    assert (await who.refresh(token)).status_code == 401


ENDS = [disabled, demoted, changed_password, logged_out, logged_out_everywhere, reused_a_token]


@pytest.mark.parametrize("end", ENDS)
async def test_access_ends_everywhere_within_a_second(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool, end: End
) -> None:
    who = await hired(admin, "analyst", "customer")
    bystander = await visitor(door)
    for path in (ME, ORDERS):
        assert (await who.ask("GET", path)).status_code == 200
    await end(admin, who, pool)
    took_s = await ended_within(who, ME, ORDERS, LIVE)
    assert took_s < WITHIN_S
    order = await who.ask("POST", ORDERS, json={}, headers={"idempotency-key": "one"})
    assert order.status_code == 401
    assert order.json()["type"].endswith("unauthenticated")
    assert (await bystander.ask("GET", ORDERS)).status_code == 200


@pytest.mark.parametrize("end", ENDS)
async def test_an_open_stream_ends_within_a_second(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool, end: End
) -> None:
    who, bystander = await hired(admin, "analyst"), await hired(admin, "analyst")
    async with (
        door.stream("GET", LIVE, headers=bystander.headers) as other,
        door.stream("GET", LIVE, headers=who.headers) as mine,
    ):
        heard, others = mine.aiter_bytes(), other.aiter_bytes()
        assert (await anext(heard)).startswith(b"retry:")
        await end(admin, who, pool)
        began = time.monotonic()
        async with asyncio.timeout(WITHIN_S):
            async for _ in heard:
                pass
        assert time.monotonic() - began < WITHIN_S
        assert (await anext(others)).startswith(b"retry:")
        still = asyncio.ensure_future(anext(others))
        await asyncio.wait({still}, timeout=0.2)
        assert not still.done() or still.exception() is None
        still.cancel()


async def test_a_replica_that_starts_later_knows_it(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool, settings: Settings
) -> None:
    who = await visitor(door)
    await disabled(admin, who, pool)
    http = settings.http.model_copy(update={"port": door.base_url.port})
    here = settings.model_copy(update={"http": http})
    async with serving(build(orders, open_orders, here)) as fresh:
        assert (await fresh.get(ORDERS, headers=who.headers)).status_code == 401
        assert (await fresh.get(ORDERS, headers=admin.headers)).status_code == 200


async def test_roles_are_new_after_a_refresh(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool
) -> None:
    who = await hired(admin, "analyst")
    await demoted(admin, who, pool)
    await ended_within(who, ME)
    who.tokens = (await who.refresh()).json()
    assert (await who.ask("GET", ME)).json()["roles"] == ["customer"]
    assert (await who.ask("GET", LIVE)).status_code == 403


async def test_whoever_changed_the_password_goes_on_at_once(door: httpx.AsyncClient) -> None:
    who = await visitor(door)
    body = {"current_password": PASSWORD, "new_password": "another long password"}
    answer = await who.ask("POST", f"{ME}/password", json=body)
    before = Visitor(door, who.email, tokens=who.tokens)
    who.tokens = answer.json()
    await ended_within(before, ME, ORDERS)
    for path in (ME, ORDERS):
        assert (await who.ask("GET", path)).status_code == 200


async def test_a_disabled_administrator_does_not_restore_himself(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool
) -> None:
    """Nor in the time until the replicas have heard."""
    who = await hired(admin, "admin")
    etag = {"if-match": '"3"'}
    await disabled(admin, who, pool)
    for change in ({"disabled": False}, {"roles": ["admin"]}):
        answer = await who.ask("PATCH", f"{URL}/users/{who.id}", json=change, headers=etag)
        assert answer.status_code == 401
    assert (await admin.ask("GET", f"{URL}/users/{who.id}")).json()["disabled"] is True


async def test_of_two_who_disable_each_other_one_stays(
    door: httpx.AsyncClient, admin: Visitor
) -> None:
    for _ in range(3):
        one, other = await hired(admin, "admin"), await hired(admin, "admin")
        answers = await asyncio.gather(
            one.change(other, disabled=True), other.change(one, disabled=True)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401]


BODIES: dict[str, dict[str, Any]] = {
    "change_password": {"current_password": PASSWORD, "new_password": "another long password"},
    "change_account": {"roles": ["admin"]},
    "add_account": {
        "email": "somebody.new@example.org",
        "password": PASSWORD,
        "display_name": "Somebody New",
        "roles": ["admin"],
    },
}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE auth.users SET disabled_at = now() WHERE id = $1",
        "UPDATE auth.users SET roles = '{}' WHERE id = $1",
        "UPDATE auth.users SET epoch = epoch + 1 WHERE id = $1",
        "UPDATE auth.sessions SET revoked_at = now() WHERE user_id = $1",
    ],
)
async def test_every_write_looks_at_the_account_itself(
    door: httpx.AsyncClient, admin: Visitor, pool: Pool, sql: str
) -> None:
    """Changed where no replica hears of it."""
    writes = [one for one in api.endpoints if one.method != "GET" and one.scope is not None]
    assert len(writes) >= 4
    for endpoint in writes:
        who, victim = await hired(admin, "admin"), await visitor(door)
        await pool.execute(sql, UUID(who.id))
        ids = {"user_id": victim.id, "session_id": str(new_id())}
        answer = await who.ask(
            endpoint.method,
            endpoint.path.format(**ids),
            json=BODIES.get(endpoint.name),
            headers={"if-match": '"1"'},
        )
        assert answer.status_code in (401, 403), (endpoint.name, answer.text)
        assert (await who.ask("GET", ME)).status_code == 200


async def test_a_log_in_that_was_overtaken_opens_nothing(
    door: httpx.AsyncClient, pool: Pool
) -> None:
    """The password was right when it was looked at; then everything was ended."""
    who = await visitor(door)
    body = {"email": who.email, "password": who.password}
    async with pool.transaction() as conn:
        await conn.execute("SELECT FROM auth.users WHERE id = $1 FOR UPDATE", UUID(who.id))
        late = asyncio.create_task(door.post(f"{URL}/login", json=body), name="late")
        async with asyncio.timeout(10):
            while not late.done() and not await pool.fetchval(  # noqa: ASYNC110
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND query LIKE '%INTO auth.sessions%'"
            ):
                await asyncio.sleep(0.01)
        await conn.execute("UPDATE auth.users SET epoch = epoch + 1 WHERE id = $1", UUID(who.id))
    assert (await late).status_code == 401
    assert (await door.post(f"{URL}/login", json=body)).status_code == 200


async def test_a_replica_that_hears_nothing_refuses_writes_of_auth(
    pool: Pool, settings: Settings
) -> None:
    deaf = settings.auth.model_copy(update={"revocation_trust_s": 1.0})
    async with front_door(settings.model_copy(update={"auth": deaf}), (api, opened)) as client:
        who = await visitor(client)
        wrong = {"current_password": "not the password", "new_password": "another long password"}

        async def write() -> int:
            return (await who.ask("POST", f"{ME}/password", json=wrong)).status_code

        assert await write() == 422
        async with pool.transaction() as conn:
            await conn.execute("LOCK TABLE access.revocations IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(10):
                while await write() != 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert (await who.ask("GET", ME)).status_code == 200
        async with asyncio.timeout(10):
            while await write() != 422:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_two_auth_replicas_agree(
    door: httpx.AsyncClient, admin: Visitor, settings: Settings
) -> None:
    http = settings.http.model_copy(update={"port": door.base_url.port})
    async with AsyncExitStack() as stack:
        edge = build(api, opened, settings.model_copy(update={"http": http}))
        other = await stack.enter_async_context(serving(edge))
        who = await visitor(door)
        assert (await other.get(ME, headers=who.headers)).status_code == 200
        await who.log_out()
        await ended_within(Visitor(other, who.email, tokens=who.tokens), ME)
