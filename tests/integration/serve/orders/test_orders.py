"""Placing, reading and changing orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from integration.serve.shopping import (
    OneShard,
    Troubled,
    announce,
    bearer,
    events_of,
    product,
    stock_of,
    stocked,
)

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.orders import OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.values.ids import new_id
from ecap.errors import Fenced, NotFound, Overloaded, Unavailable
from ecap.serve.endpoints.idempotency import Attempt
from ecap.serve.endpoints.pages import encode_cursor
from ecap.serve.orders.routes import api
from ecap.serve.orders.service import opened
from ecap.serve.replica.process import Process

Mint = Callable[..., str]
Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/orders"


@pytest.fixture(scope="module")
def shard(settings: Settings) -> OneShard:
    return OneShard(settings)


@pytest.fixture(scope="module")
async def shop(replica: Replica, pool: Pool, shard: OneShard) -> AsyncIterator[httpx.AsyncClient]:
    async with replica(api, partial(opened, decider=shard)) as client:
        yield client


class Customer:
    """Somebody who is logged in."""

    def __init__(self, client: httpx.AsyncClient, mint: Mint, *roles: str) -> None:
        self.id = new_id()
        self.client = client
        self.headers = bearer(mint(*(roles or ("customer",)), subject=str(self.id)))

    async def order(self, *lines: tuple[UUID, int], key: str = "", **more: Any) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": key or str(new_id())}
        return await self.client.post(URL, json=wanted(*lines, **more), headers=headers)

    async def get(self, path: str = "", **query: Any) -> httpx.Response:
        return await self.client.get(URL + path, params=query, headers=self.headers)

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.client.post(URL + path, json=body, headers=self.headers)


def wanted(*lines: tuple[UUID, int], **more: Any) -> dict[str, Any]:
    return {
        "lines": [{"product_id": str(one), "quantity": units} for one, units in lines],
        "payment": {"card_token": "tok_visa_4242"},
        "device": {"id": "phone-1"},
        **more,
    }


@pytest.fixture
def customer(shop: httpx.AsyncClient, mint: Mint) -> Customer:
    return Customer(shop, mint)


@pytest.fixture
def analyst(shop: httpx.AsyncClient, mint: Mint) -> Customer:
    return Customer(shop, mint, "analyst")


async def test_an_order_is_priced_judged_written_and_announced(
    customer: Customer, pool: Pool
) -> None:
    kettle = await stocked(pool, price="19.99", stock=10)
    towel = await stocked(pool, price="0.10", stock=10, name="Towel", category="home")
    answer = await customer.order((kettle, 3), (towel, 7))
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["status"], order["amount"], order["currency"]) == ("approved", "60.67", "USD")
    assert [line["unit_price"] for line in order["lines"]] == ["19.99", "0.10"]
    assert answer.headers["location"] == f"{URL}/{order['id']}"
    assert (await stock_of(pool, kettle), await stock_of(pool, towel)) == (7, 3)
    (event,) = await events_of(pool, customer.id)
    placed = event.payload
    assert isinstance(placed, OrderPlaced)
    assert (placed.amount_minor, placed.decision, placed.scored) == (6067, "approve", True)
    assert sum(line.quantity * line.unit_price_minor for line in placed.lines) == 6067
    assert "tok_visa" not in placed.card
    read = await customer.get(f"/{order['id']}")
    assert read.json() == order
    assert read.headers["etag"] == answer.headers["etag"]


async def test_a_repeat_gets_the_same_answer_and_does_nothing(
    customer: Customer, pool: Pool
) -> None:
    kettle = await stocked(pool, stock=5)
    first = await customer.order((kettle, 2), key="a b~")
    # The price rises and the stock is gone: the first answer stands.
    await announce(pool, product(kettle, price="25.00", stock=-3))
    again = await customer.order((kettle, 2), key="a b~")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await events_of(pool, customer.id)) == 1


async def test_white_space_does_not_make_another_request(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool)
    first = await customer.order((kettle, 1), key="k")
    reordered = (
        '{"device": {"id": "phone-1"},\n "payment": {"card_token": "tok_visa_4242"},'
        f' "lines":[{{"quantity":1, "product_id":"{str(kettle).upper()}"}}]}}'
    )
    headers = {**customer.headers, "idempotency-key": "k", "content-type": "application/json"}
    again = await customer.client.post(URL, content=reordered, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_key_serves_one_request_of_one_user(
    customer: Customer, analyst: Customer, pool: Pool
) -> None:
    kettle = await stocked(pool)
    first = await customer.order((kettle, 1), key="same")
    other = await customer.order((kettle, 2), key="same")
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    theirs = await analyst.order((kettle, 1), key="same")
    assert theirs.status_code == 201
    assert theirs.json()["id"] != first.json()["id"]


async def test_twenty_at_once_under_one_key_are_one_order(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool, stock=100)
    answers = await asyncio.gather(*(customer.order((kettle, 2), key="k") for _ in range(20)))
    placed = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(placed) + len(waiting) == 20
    assert len({answer.content for answer in placed}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in placed) == 1
    for answer in waiting:
        assert answer.json()["type"] == "urn:ecap:problem:in-flight"
        assert int(answer.headers["retry-after"]) >= 1
    assert await stock_of(pool, kettle) == 98
    assert len(await events_of(pool, customer.id)) == 1


async def test_a_request_under_way_holds_off_its_twin(
    customer: Customer, pool: Pool, replica: Replica
) -> None:
    """Deterministic: the lock is held by hand."""
    kettle = await stocked(pool)
    first = await customer.order((kettle, 1), key="held")
    assert first.status_code == 201
    await pool.execute("DELETE FROM orders.idempotency WHERE user_id = $1", customer.id)
    lock = Attempt(customer.id, "held", b"").lock
    async with pool.transaction() as conn:
        await conn.execute("SELECT pg_advisory_xact_lock($1)", lock)
        answer = await customer.order((kettle, 1), key="held")
    assert (answer.status_code, answer.json()["title"]) == (
        409,
        "The same request is being processed",
    )
    # The answer is gone but the order is there: the key is not good for a second one.
    late = await customer.order((kettle, 1), key="held")
    assert late.status_code == 409
    assert late.json()["order_id"] == first.json()["id"]


@pytest.mark.parametrize("key", [None, "", "é".encode(), "x" * 256, "tab\there"])
async def test_without_a_usable_key_nothing_is_placed(
    customer: Customer, pool: Pool, key: str | bytes | None
) -> None:
    kettle = await stocked(pool)
    headers: dict[str, Any] = dict(customer.headers)
    if key is not None:
        headers["idempotency-key"] = key
    answer = await customer.client.post(URL, json=wanted((kettle, 1)), headers=headers)
    assert (answer.status_code, answer.json()["header"]) == (400, "Idempotency-Key")
    assert await events_of(pool, customer.id) == []


async def test_what_is_missing_is_named_and_nothing_is_taken(
    customer: Customer, pool: Pool
) -> None:
    plenty = await stocked(pool, stock=10)
    scarce = await stocked(pool, stock=2, name="Lamp")
    answer = await customer.order((plenty, 1), (scarce, 3), key="later")
    problem = answer.json()
    assert (answer.status_code, problem["detail"]) == (409, "not enough in stock: Lamp")
    assert problem["errors"] == [{"field": "lines.1.quantity", "message": "2 left"}]
    assert problem["products"] == [str(scarce)]
    assert (await stock_of(pool, plenty), await stock_of(pool, scarce)) == (10, 2)
    assert await events_of(pool, customer.id) == []
    assert (await customer.get()).json()["items"] == []
    # The refusal was not kept: the same request succeeds once there is enough.
    await announce(pool, product(scarce, stock=1, name="Lamp"))
    assert (await customer.order((plenty, 1), (scarce, 3), key="later")).status_code == 201


async def test_the_customer_pays_what_they_were_shown(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool, price="10.00")
    answer = await customer.order((kettle, 2), expected_total="19.99")
    assert (answer.status_code, answer.json()["total"]) == (409, "20.00")
    assert answer.json()["errors"][0]["field"] == "expected_total"
    assert (await customer.order((kettle, 2), expected_total="20.00")).status_code == 201
    assert (await customer.order((kettle, 2), expected_total=20)).status_code == 201


async def test_where_it_is_sent_is_kept_sealed(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool)
    shipping = {
        "recipient": "Planted Person",
        "line1": "1 Planted Street",
        "city": "Planted",
        "postal_code": "PLANTED",
        "country": "DE",
    }
    first = await customer.order((kettle, 1), key="sent", shipping=shipping)
    assert first.json()["shipping"] == shipping
    again = await customer.order((kettle, 1), key="sent", shipping=shipping)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    order_id = first.json()["id"]
    assert (await customer.get(f"/{order_id}")).json() == first.json()
    cancelled = await customer.post(f"/{order_id}/cancel", {})
    assert cancelled.json()["shipping"] == shipping
    for table, key in (("orders.orders", "id"), ("orders.idempotency", "user_id")):
        owner = UUID(order_id) if key == "id" else customer.id
        row = await pool.fetchrow(f"SELECT * FROM {table} WHERE {key} = $1", owner)
        assert row is not None
        assert "planted" not in repr(tuple(row)).lower()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"product_id": str(new_id()), "quantity": 1}]}, "lines.0.product_id"),
        ({"payment": {"card_token": "4111111111111111"}}, "payment.card_token"),
        ({"device": {"id": "d", "latitude": 1.0}}, "device"),
        ({"device": {"id": "d", "latitude": 91, "longitude": 0}}, "device.latitude"),
        ({"device": {"id": ""}}, "device.id"),
        ({"expected_total": "1.001"}, "expected_total"),
        ({"shipping": {"country": "Norway"}}, "shipping.recipient"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_wrong_field_is_named(
    customer: Customer, pool: Pool, change: dict[str, Any], field: str
) -> None:
    kettle = await stocked(pool)
    body = {**wanted((kettle, 1)), **change}
    headers = {**customer.headers, "idempotency-key": "k"}
    answer = await customer.client.post(URL, json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("quantity", [0, -1, 101, 10**30, 1.5, "2", None])
async def test_quantities_are_small_whole_numbers(
    customer: Customer, pool: Pool, quantity: Any
) -> None:
    kettle = await stocked(pool, stock=1000)
    answer = await customer.order((kettle, quantity))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "lines.0.quantity"


async def test_a_product_stands_once_and_is_on_sale(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool)
    assert (await customer.order((kettle, 1), (kettle, 1))).status_code == 422
    await announce(pool, product(kettle, stock=0, active=False))
    answer = await customer.order((kettle, 1))
    assert (answer.status_code, answer.json()["detail"]) == (409, "Kettle is no longer sold")
    yen = await stocked(pool, currency="JPY")
    assert (await customer.order((yen, 1))).status_code == 409


async def test_an_order_is_worth_no_more_than_can_be_counted(
    customer: Customer, pool: Pool
) -> None:
    palace = await stocked(pool, price="9999999999.99", stock=10)
    answer = await customer.order((palace, 2))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "lines")


async def test_a_denied_order_takes_nothing(customer: Customer, pool: Pool) -> None:
    ring = await stocked(pool, price="12000.00", stock=1)
    answer = await customer.order((ring, 1))
    assert (answer.status_code, answer.json()["status"]) == (201, "denied")
    assert await stock_of(pool, ring) == 1
    (event,) = await events_of(pool, customer.id)
    assert isinstance(event.payload, OrderPlaced)
    assert (event.payload.decision, event.payload.score) == ("deny", 100)
    assert "amount_extreme" in event.payload.reasons
    # Why is for analysts; a fraudster would only learn from it.
    assert "amount_extreme" not in answer.text


@pytest.mark.parametrize(
    "error",
    [
        None,
        Unavailable("away"),
        Overloaded("shed"),
        NotFound("no such pipeline"),
        Fenced("lost"),
        RuntimeError("a bug in the shard"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_without_a_decision_in_time_an_order_is_reviewed_never_approved(
    replica: Replica, pool: Pool, mint: Mint, error: Exception | None
) -> None:
    kettle = await stocked(pool, stock=5)
    async with replica(api, partial(_impatient, decider=Troubled(error))) as client:
        customer = Customer(client, mint)
        answer = await customer.order((kettle, 1))
    assert (answer.status_code, answer.json()["status"]) == (201, "in_review")
    assert await stock_of(pool, kettle) == 4
    (event,) = await events_of(pool, customer.id)
    assert isinstance(event.payload, OrderPlaced)
    assert (event.payload.decision, event.payload.scored) == ("review", False)
    assert event.payload.reasons == ("fraud_unavailable",)


def _impatient(process: Process, *, decider: Any) -> Any:
    orders = process.settings.orders.model_copy(update={"decision_timeout_s": 0.05})
    process.member.settings = process.settings.model_copy(update={"orders": orders})
    return opened(process, decider=decider)


async def test_a_replica_without_shard_reviews_everything(
    replica: Replica, pool: Pool, mint: Mint
) -> None:
    kettle = await stocked(pool)
    async with replica(api, opened) as client:
        answer = await Customer(client, mint).order((kettle, 1))
    assert answer.json()["status"] == "in_review"


async def test_nobody_sees_the_orders_of_others(
    shop: httpx.AsyncClient, mint: Mint, customer: Customer, analyst: Customer, pool: Pool
) -> None:
    kettle = await stocked(pool)
    order = (await customer.order((kettle, 1))).json()
    stranger = Customer(shop, mint)
    assert (await stranger.get(f"/{order['id']}")).status_code == 404
    assert (await stranger.post(f"/{order['id']}/cancel", {})).status_code == 404
    assert (await stranger.get()).json()["items"] == []
    assert (await stranger.get(all=True)).status_code == 403
    assert (await stranger.get(user_id=str(customer.id))).status_code == 403
    assert (await analyst.get(f"/{order['id']}")).status_code == 200
    theirs = (await analyst.get(user_id=str(customer.id))).json()["items"]
    assert [one["id"] for one in theirs] == [order["id"]]
    assert order["id"] in {one["id"] for one in (await analyst.get(all=True)).json()["items"]}
    assert (await shop.get(URL)).status_code == 401


async def test_pages_go_from_new_to_old_without_gap(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool, price="1.00")
    placed = [(await customer.order((kettle, 1))).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await customer.get(limit=2, **cursor)).json()
        seen += [one["id"] for one in page["items"]]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == placed[::-1]
    assert (await customer.get(status="denied")).json()["items"] == []
    assert (await customer.get(status="lost")).status_code == 422
    assert (await customer.get(cursor="WyJ4IiwieSJd")).status_code == 422
    # Year 1 east of Greenwich.
    far = encode_cursor("0001-01-01T00:00:00+23:59", new_id())
    assert (await customer.get(cursor=far)).status_code == 422


async def test_cancelling_returns_the_units_once(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool, stock=5)
    order = (await customer.order((kettle, 3))).json()
    answer = await customer.post(f"/{order['id']}/cancel", {"reason": "found it cheaper"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.headers["etag"] == '"2"'
    last = answer.json()["history"][-1]
    assert (last["previous"], last["status"], last["actor"], last["reason"]) == (
        "approved",
        "cancelled",
        str(customer.id),
        "found it cheaper",
    )
    again = await customer.post(f"/{order['id']}/cancel", {})
    assert again.json() == answer.json()
    assert await stock_of(pool, kettle) == 5
    _, event = await events_of(pool, customer.id)
    assert isinstance(event.payload, OrderCancelled)
    assert (event.payload.previous, event.payload.amount_minor) == ("approved", 5997)
    assert event.payload.placed_at.isoformat() == order["placed_at"].replace("Z", "+00:00")
    assert event.payload.lines[0].quantity == 3


async def test_what_is_returned_pays_what_is_owed(customer: Customer, pool: Pool) -> None:
    kettle = await stocked(pool, stock=3)
    order = (await customer.order((kettle, 3))).json()
    await announce(pool, product(kettle, stock=-2))
    await customer.post(f"/{order['id']}/cancel", {})
    assert await stock_of(pool, kettle) == 1


async def test_an_analyst_decides_what_is_in_review(
    customer: Customer, analyst: Customer, pool: Pool
) -> None:
    sofa = await stocked(pool, price="2100.00", stock=5)
    kept, refused = [(await customer.order((sofa, 1))).json() for _ in range(2)]
    assert (kept["status"], refused["status"]) == ("in_review", "in_review")
    assert await stock_of(pool, sofa) == 3
    mine = await customer.post(f"/{kept['id']}/review", {"verdict": "approve"})
    assert (mine.status_code, mine.json()["scope"]) == (403, "fraud:review")
    yes = await analyst.post(f"/{kept['id']}/review", {"verdict": "approve"})
    no = await analyst.post(f"/{refused['id']}/review", {"verdict": "deny", "reason": "stolen"})
    assert (yes.json()["status"], no.json()["status"]) == ("approved", "denied")
    assert await stock_of(pool, sofa) == 4
    kinds = [event.type for event in await events_of(pool, customer.id)]
    assert kinds == ["order.placed", "order.placed", "order.approved", "order.denied"]
    denied = (await events_of(pool, customer.id))[-1].payload
    assert isinstance(denied, OrderDenied)
    assert (denied.previous, denied.reason, denied.actor) == (
        "in_review",
        "stolen",
        str(analyst.id),
    )
    late = await analyst.post(f"/{refused['id']}/review", {"verdict": "approve"})
    assert late.status_code == 409
    assert late.json()["detail"] == "an order that is denied does not become approved"
    cancel = await customer.post(f"/{refused['id']}/cancel", {})
    assert cancel.status_code == 409


async def test_staff_cancel_for_a_customer(
    customer: Customer, analyst: Customer, pool: Pool
) -> None:
    kettle = await stocked(pool, stock=5)
    order = (await customer.order((kettle, 1))).json()
    answer = await analyst.post(f"/{order['id']}/cancel", {"reason": "asked by telephone"})
    assert answer.json()["status"] == "cancelled"
    assert (await analyst.post(f"/{new_id()}/cancel", {})).status_code == 404


async def test_two_who_decide_at_once_are_put_in_line(
    shop: httpx.AsyncClient, mint: Mint, analyst: Customer, pool: Pool
) -> None:
    sofa = await stocked(pool, price="2100.00", stock=10)
    for _ in range(3):
        customer = Customer(shop, mint)
        order = (await customer.order((sofa, 1))).json()
        path = f"/{order['id']}"
        answers = await asyncio.gather(
            customer.post(path + "/cancel", {}),
            analyst.post(path + "/review", {"verdict": "deny"}),
            analyst.post(path + "/review", {"verdict": "deny"}),
            customer.post(path + "/cancel", {}),
        )
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len((await customer.get(path)).json()["history"]) == 2
    assert await stock_of(pool, sofa) == 10
