"""A shopper's whole path over real HTTP, and what the others see of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import pytest
from e2e.people import Person, register
from e2e.system import System, until

from ecap.demo.shoppers.shelf import Basket, Shelf, Wanted, total_minor
from ecap.domain.values.money import to_decimal

_RNG = Random(2)
_ORDERS = "/api/v1/orders"


@pytest.fixture
async def shopper(door: httpx.AsyncClient) -> Person:
    return await register(door)


def modest(shelf: Shelf) -> Basket:
    """Nothing that any rule minds."""
    return shelf.usual(_RNG, below_minor=150_00)


async def placed(who: Person, basket: Basket, key: str = "first") -> dict[str, Any]:
    answer = await who.order(basket, key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def the_notification(who: Person, kind: str) -> dict[str, Any]:
    async def delivered() -> Any:
        items = (await who.get("/api/v1/notifications"))["items"]
        return [x for x in items if x["kind"] == kind and x["status"] == "delivered"]

    return dict((await until(delivered, what=f"a delivered {kind}"))[0])


async def test_looking_around(door: httpx.AsyncClient, shelf: Shelf) -> None:
    goods = shelf.any(_RNG)
    categories = (await door.get("/api/v1/catalog/categories")).json()["items"]
    assert goods.category in json.dumps(categories)
    listed = await door.get("/api/v1/catalog/products", params={"category": goods.category})
    assert {item["category"] for item in listed.json()["items"]} == {goods.category}
    found = await door.get("/api/v1/catalog/products", params={"q": goods.name})
    assert found.json()["items"][0]["name"] == goods.name
    path = f"/api/v1/catalog/products/{goods.id}"
    product = await door.get(path)
    again = await door.get(path, headers={"if-none-match": product.headers["etag"]})
    assert (product.status_code, again.status_code) == (200, 304)


async def test_an_order_and_its_repetition(shopper: Person, shelf: Shelf) -> None:
    basket = modest(shelf)
    first = await shopper.order(basket, "my key")
    assert first.status_code == 201, first.text
    order = first.json()
    assert order["status"] == "approved"
    assert Decimal(order["amount"]) == to_decimal(total_minor(basket))
    again = await shopper.order(basket, "my key")
    assert (again.status_code, again.json()) == (201, order)
    other = await shopper.order((*basket, Wanted(_another(shelf, basket), 1)), "my key")
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    listed = (await shopper.get(_ORDERS))["items"]
    assert [one["id"] for one in listed] == [order["id"]]
    assert (await shopper.get(f"{_ORDERS}/{order['id']}"))["lines"] == order["lines"]


def _another(shelf: Shelf, basket: Basket) -> Any:
    return next(
        g for g in iter(lambda: shelf.any(_RNG), None) if g not in [w.goods for w in basket]
    )


async def test_mail_about_an_order(system: System, shopper: Person, shelf: Shelf) -> None:
    order = await placed(shopper, modest(shelf))
    notice = await the_notification(shopper, "order_approved")
    assert notice["order_id"] == order["id"]
    assert Decimal(notice["amount"]) == Decimal(order["amount"])
    async with httpx.AsyncClient() as browser:
        page = f"http://127.0.0.1:{system.runtime.ports['mail_page']}"
        index = (await browser.get(f"{page}/index.json")).json()
        (mail,) = [one for one in index["latest"] if one["to"] == [shopper.email]]
        text = (await browser.get(f"{page}/{mail['number']}")).text
    assert order["id"] in text
    assert order["amount"] in text


async def test_cancelling_gives_the_units_back(shopper: Person, shelf: Shelf, books: Any) -> None:
    basket: Basket = (Wanted(shelf.any(_RNG), 1),)
    goods = basket[0].goods
    query = "SELECT stock FROM orders.items WHERE product_id = $1"
    before = await books.fetchval(query, goods.id)
    order = await placed(shopper, basket)
    assert await books.fetchval(query, goods.id) == before - 1
    path = f"{_ORDERS}/{order['id']}/cancel"
    for _ in range(2):
        answer = await shopper.ask("POST", path, json={"reason": "too late"})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert await books.fetchval(query, goods.id) == before
    await the_notification(shopper, "order_cancelled")


async def test_the_overview(shopper: Person, shelf: Shelf) -> None:
    order = await placed(shopper, modest(shelf))
    await the_notification(shopper, "order_approved")

    async def complete() -> Any:
        found = await shopper.get("/api/v1/me/overview")
        return found if {part["status"] for part in found.values()} == {"ok"} else None

    found = await until(complete, what="all parts of the overview")
    assert found["profile"]["value"]["user_id"] == str(shopper.id)
    assert [one["id"] for one in found["orders"]["value"]["items"]] == [order["id"]]
    assert found["notifications"]["value"]["items"][0]["order_id"] == order["id"]


# ---- what the staff sees


async def test_revenue_by_the_minute(shopper: Person, analyst: Person, shelf: Shelf) -> None:
    goods = shelf.any(_RNG)

    async def revenue(order: dict[str, Any] | None = None) -> Decimal:
        # From the minute of the order on, or the hour up to now: nobody else buys meanwhile.
        items = (await analyst.get("/api/v1/analytics/revenue", bucket="minute"))["items"]
        mine = [x for x in items if x["category"] == goods.category and x["outcome"] == outcome]
        return sum((Decimal(x["amount"]) for x in mine), Decimal())

    outcome = "approved"
    before = await revenue()
    order = await placed(shopper, (Wanted(goods, 1),))
    amount = Decimal(order["amount"])
    await until(lambda: _equals(revenue, before + amount), what="the revenue of the order")
    await shopper.ask("POST", f"{_ORDERS}/{order['id']}/cancel", json={})
    await until(lambda: _equals(revenue, before), what="the revenue without it")


async def _equals(figure: Any, expected: Decimal) -> bool:
    return bool(await figure() == expected)


async def test_the_live_stream(shopper: Person, analyst: Person, shelf: Shelf) -> None:
    async with _live(analyst) as events:
        order = await placed(shopper, modest(shelf))
        minute = datetime.fromisoformat(order["placed_at"]).replace(second=0, microsecond=0)
        async with asyncio.timeout(120):
            async for kind, data in events:
                if (
                    (kind, data["outcome"]) == ("orders", "approved")
                    and datetime.fromisoformat(data["minute"]) == minute
                    and Decimal(data["amount"]) >= Decimal(order["amount"])
                ):
                    break


@asynccontextmanager
async def _live(who: Person) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    headers = {"authorization": f"Bearer {who.token}"}
    async with who.client.stream("GET", "/api/v1/analytics/live", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def test_a_card_tester_is_stopped(shopper: Person, analyst: Person, shelf: Shelf) -> None:
    cheap = shelf.small(_RNG, below_minor=10_00)
    orders = []
    for number in range(5):
        answer = await shopper.order(cheap, f"try {number}", card=f"card_stolen_{number}")
        assert answer.status_code == 201, answer.text
        orders.append(answer.json())
    stopped = [order for order in orders if order["status"] != "approved"]
    assert "denied" in {order["status"] for order in stopped}
    alerts = await the_alerts(analyst, shopper, count=len(stopped))
    assert {alert["transaction_id"] for alert in alerts} == {order["id"] for order in stopped}
    assert "card_testing" in alerts[0]["reasons"]
    await the_notification(shopper, "order_denied")


async def the_alerts(analyst: Person, about: Person, *, count: int) -> list[dict[str, Any]]:
    async def found() -> Any:
        items = (await analyst.get("/api/v1/fraud/alerts", user_id=str(about.id)))["items"]
        return items if len(items) == count else None

    return list(await until(found, what=f"{count} alerts"))


async def test_an_analyst_judges_a_dear_order(
    shopper: Person, analyst: Person, shelf: Shelf
) -> None:
    dear = shelf.worth(_RNG, least_minor=2500_00, most_quantity=20)
    order = await placed(shopper, dear)
    assert order["status"] == "in_review"
    (alert,) = await the_alerts(analyst, shopper, count=1)
    path = f"/api/v1/fraud/alerts/{alert['id']}"
    etag = f'"{alert["version"]}"'
    taken = await analyst.ask(
        "PATCH", path, json={"status": "acknowledged"}, headers={"if-match": etag}
    )
    assert taken.status_code == 200, taken.text
    late = await analyst.ask("PATCH", path, json={"status": "closed"}, headers={"if-match": etag})
    assert late.status_code == 412
    review = f"{_ORDERS}/{order['id']}/review"
    refused = await shopper.ask("POST", review, json={"verdict": "approve"})
    assert refused.status_code == 403
    judged = await analyst.ask("POST", review, json={"verdict": "approve", "reason": "a gift"})
    assert (judged.status_code, judged.json()["status"]) == (200, "approved")
    assert (await shopper.get(f"{_ORDERS}/{order['id']}"))["status"] == "approved"
    await the_notification(shopper, "order_placed")
    await the_notification(shopper, "order_approved")

    async def closed() -> bool:
        return bool((await analyst.get(path))["status"] == "closed")

    await until(closed, what="the outcome closes the alert")
