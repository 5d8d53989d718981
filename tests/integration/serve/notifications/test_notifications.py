"""What customers were told, and the log that staff read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.shopping import bearer

from ecap.actors.stream.pipeline import Pipeline, Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderPlaced
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.notifications import pipeline as notifications
from ecap.serve.notifications.routes import api
from ecap.serve.notifications.service import opened

Mint = Callable[..., str]
Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/notifications"


@pytest.fixture(scope="module")
async def desk(replica: Replica, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(api, opened) as client:
        yield client


async def told(settings: Settings, pool: Pool, user_id: UUID, orders: int) -> list[UUID]:
    """What the shard does with so many order.placed."""
    step: Pipeline[Any, Any] = notifications.build(settings)
    state = step.new_state("transactions", 0)
    results, ids = [], []
    for pos in range(orders):
        order = OrderPlaced(
            order_id=new_id(),
            user_id=user_id,
            amount_minor=1234567,
            currency="USD",
            lines=(Line(new_id(), "kitchen", 1, 1234567),),
            card="c",
            device_id="d",
            ip="127.0.0.1",
            decision="approve",
            scored=True,
        )
        event = new_event(order, key="k", producer="orders", now=datetime.now(UTC))
        results.append(step.apply(state, Record("transactions", 0, pos, event)))
        ids.append(order.order_id)
    async with pool.transaction() as conn:
        await step.write(conn, [result for result in results if result is not None])
    return ids


async def test_a_customer_reads_their_own(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings, mint: Mint
) -> None:
    user = new_id()
    await told(settings, pool, user, 3)
    mine = bearer(mint("customer", subject=str(user)))
    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = (await desk.get(URL, params=query, headers=mine)).json()
        seen += page["items"]
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert len({one["id"] for one in seen}) == 3
    first = seen[0]
    assert (first["kind"], first["amount"], first["currency"]) == (
        "order_approved",
        "12345.67",
        "USD",
    )
    assert (first["channel"], first["status"]) == ("email", "pending")
    assert "last_error" not in first
    assert "worker" not in first
    assert (await desk.get(f"{URL}/{first['id']}", headers=mine)).json() == first
    other = bearer(mint("customer"))
    assert (await desk.get(f"{URL}/{first['id']}", headers=other)).status_code == 404
    assert (await desk.get(URL, headers=other)).json()["items"] == []
    assert (await desk.get(URL + "/deliveries", headers=mine)).status_code == 403


async def test_staff_read_the_log_and_send_again(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings, mint: Mint
) -> None:
    user = new_id()
    (order_id,) = await told(settings, pool, user, 1)
    operator, analyst = bearer(mint("operator")), bearer(mint("analyst"))
    query = {"order_id": str(order_id)}
    listed = await desk.get(URL + "/deliveries", params=query, headers=analyst)
    (delivery,) = listed.json()["items"]
    assert delivery["user_id"] == str(user)
    path = f"{URL}/deliveries/{delivery['id']}"
    early = await desk.post(path + "/resend", headers=operator)
    assert (early.status_code, early.json()["detail"]) == (
        409,
        "only what failed is sent again; this is pending",
    )
    await pool.execute(
        "UPDATE notifications.deliveries SET status = 'failed', attempts = 1, last_error = 'no'"
        " WHERE id = $1",
        UUID(delivery["id"]),
    )
    await pool.execute(
        "INSERT INTO notifications.attempts (delivery_id, attempt, worker, outcome, error)"
        " VALUES ($1, 1, 'w', 'failed', 'no')",
        UUID(delivery["id"]),
    )
    read = (await desk.get(path, headers=analyst)).json()
    assert [(one["attempt"], one["outcome"]) for one in read["log"]] == [(1, "failed")]
    failed = await desk.get(
        URL + "/deliveries", params={"status": "failed", "user_id": str(user)}, headers=analyst
    )
    assert len(failed.json()["items"]) == 1
    assert (await desk.post(path + "/resend", headers=analyst)).status_code == 403
    again = await desk.post(path + "/resend", headers=operator)
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    assert (await desk.post(path + "/resend", headers=operator)).status_code == 409
    unknown = f"{URL}/deliveries/{new_id()}"
    assert (await desk.get(unknown, headers=analyst)).status_code == 404
    assert (await desk.post(unknown + "/resend", headers=operator)).status_code == 404
    assert (await desk.get(URL + "/deliveries", headers=analyst)).status_code == 422
