"""Scores from the shard; decisions and alerts as the stream wrote them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.shopping import OneShard, bearer

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderDenied, OrderPlaced
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.fraud import pipeline as fraud
from ecap.serve.fraud.routes import api
from ecap.serve.fraud.service import opened

Mint = Callable[..., str]
Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/fraud"


@pytest.fixture(scope="module")
async def desk(
    replica: Replica, settings: Settings, pool: Pool
) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(api, partial(opened, decider=OneShard(settings))) as client:
        yield client


@pytest.fixture
def analyst(mint: Mint) -> dict[str, str]:
    return bearer(mint("analyst"))


@pytest.fixture
def admin(mint: Mint) -> dict[str, str]:
    return bearer(mint("admin"))


def placed(user_id: UUID, decision: Any, **changes: Any) -> OrderPlaced:
    fields: dict[str, Any] = {
        "order_id": new_id(),
        "user_id": user_id,
        "amount_minor": 1999,
        "currency": "USD",
        "lines": (Line(new_id(), "kitchen", 1, 1999),),
        "card": "c",
        "device_id": "d",
        "ip": "127.0.0.1",
        "decision": decision,
        "score": 0 if decision == "approve" else 60,
        "reasons": () if decision == "approve" else ("velocity",),
        "scored": True,
        **changes,
    }
    return OrderPlaced(**fields)


async def stream(settings: Settings, pool: Pool, *payloads: Any) -> None:
    """What the shard does with these events."""
    step = fraud.build(settings)
    state = step.new_state("transactions", 0)
    results = []
    for pos, payload in enumerate(payloads):
        event = new_event(payload, key="k", producer="orders", now=datetime.now(UTC))
        results.append(step.apply(state, Record("transactions", 0, pos, event)))
    async with pool.transaction() as conn:
        await step.write(conn, [result for result in results if result is not None])


def transaction(user_id: UUID, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": str(new_id()),
        "user_id": str(user_id),
        "amount": "5.00",
        "card_token": "tok_visa_1",
        "device_id": "phone",
        **changes,
    }


async def test_a_burst_of_small_cards_is_seen_as_it_happens(
    desk: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    user = new_id()
    decisions = []
    for card in range(3):
        body = transaction(user, card_token=f"tok_visa_{card}")
        answer = await desk.post(URL + "/decisions", json=body, headers=admin)
        assert answer.status_code == 200, answer.text
        decisions.append(answer.json()["decision"])
        again = await desk.post(URL + "/decisions", json=body, headers=admin)
        assert again.json() == answer.json()
    assert decisions == ["approve", "approve", "deny"]
    assert answer.json()["reasons"] == ["card_testing"]


async def test_scoring_needs_its_scope_and_a_shard(
    desk: httpx.AsyncClient, replica: Replica, admin: dict[str, str], analyst: dict[str, str]
) -> None:
    body = transaction(new_id())
    refused = await desk.post(URL + "/decisions", json=body, headers=analyst)
    assert (refused.status_code, refused.json()["scope"]) == (403, "fraud:score")
    async with replica(api, opened) as alone:
        answer = await alone.post(URL + "/decisions", json=body, headers=admin)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:ecap:problem:unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_decisions_are_read_as_they_were_acted_on(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings, analyst: dict[str, str]
) -> None:
    user = new_id()
    orders = [placed(user, decision) for decision in ("approve", "review", "approve")]
    ended = OrderDenied(
        order_id=orders[1].order_id,
        user_id=user,
        previous="in_review",
        amount_minor=1999,
        currency="USD",
        lines=orders[1].lines,
        placed_at=datetime.now(UTC),
    )
    await stream(settings, pool, *orders, ended)
    one = await desk.get(f"{URL}/decisions/{orders[1].order_id}", headers=analyst)
    found = one.json()
    assert (found["decision"], found["score"], found["reasons"]) == ("review", 60, ["velocity"])
    assert (found["amount"], found["outcome"]) == ("19.99", "denied")
    seen: list[str] = []
    query: dict[str, Any] = {"user_id": str(user), "limit": 2}
    while True:
        page = (await desk.get(URL + "/decisions", params=query, headers=analyst)).json()
        seen += [item["transaction_id"] for item in page["items"]]
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == [str(order.order_id) for order in reversed(orders)]
    query = {"user_id": str(user), "decision": "review"}
    only = (await desk.get(URL + "/decisions", params=query, headers=analyst)).json()["items"]
    assert [item["transaction_id"] for item in only] == [str(orders[1].order_id)]
    missing = await desk.get(f"{URL}/decisions/{new_id()}", headers=analyst)
    assert missing.status_code == 404
    assert (await desk.get(URL + "/decisions", headers=analyst)).status_code == 422


async def test_an_alert_is_worked_through_once(
    desk: httpx.AsyncClient,
    pool: Pool,
    settings: Settings,
    analyst: dict[str, str],
    mint: Mint,
) -> None:
    user = new_id()
    await stream(settings, pool, placed(user, "review"), placed(user, "deny"))
    query = {"user_id": str(user), "status": "open"}
    listed = (await desk.get(URL + "/alerts", params=query, headers=analyst)).json()["items"]
    assert [item["decision"] for item in listed] == ["deny", "review"]
    path = f"{URL}/alerts/{listed[0]['id']}"
    got = await desk.get(path, headers=analyst)
    seen = {**analyst, "if-match": got.headers["etag"]}
    body = {"status": "acknowledged", "note": "calling the customer"}
    assert (await desk.patch(path, json=body, headers=analyst)).status_code == 428
    taken = await desk.patch(path, json=body, headers=seen)
    assert (taken.status_code, taken.json()["status"]) == (200, "acknowledged")
    late = await desk.patch(path, json=body, headers=seen)
    assert (late.status_code, late.json()["type"]) == (412, "urn:ecap:problem:precondition-failed")
    seen["if-match"] = taken.headers["etag"]
    closed = await desk.patch(path, json={"status": "closed"}, headers=seen)
    assert closed.json()["note"] == "calling the customer"
    seen["if-match"] = closed.headers["etag"]
    again = await desk.patch(path, json={"status": "closed"}, headers=seen)
    assert (again.status_code, again.json()["detail"]) == (409, "a closed alert stays closed")
    reopened = await desk.patch(path, json={"status": "open"}, headers=seen)
    assert reopened.status_code == 422
    nobody = await desk.patch(f"{URL}/alerts/{new_id()}", json=body, headers=seen)
    assert nobody.status_code == 404
    operator = {**seen, **bearer(mint("operator"))}
    assert (await desk.patch(path, json=body, headers=operator)).status_code == 403
    assert (await desk.get(URL + "/alerts", headers=bearer(mint("customer")))).status_code == 403
