"""The catalog: browsing, search, editing, and the shop it starts with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from integration.serve.shopping import bearer

from ecap.clients.postgres import Pool
from ecap.domain.events.codec import decode
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.ids import new_id
from ecap.serve.catalog.routes import api
from ecap.serve.catalog.seed import CATEGORIES, products, seed
from ecap.serve.catalog.service import opened

Mint = Callable[..., str]
Replica = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
URL = "/api/v1/catalog"


@pytest.fixture(scope="module")
async def shelf(replica: Replica, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    await seed(pool)
    async with replica(api, opened) as client:
        yield client


@pytest.fixture
def admin(mint: Mint) -> dict[str, str]:
    return bearer(mint("admin"))


def new(**changes: Any) -> dict[str, Any]:
    fields = {"sku": f"T-{new_id().hex[:12].upper()}", "name": "Thing", "category": "home"}
    return {**fields, "price": "10.00", "stock": 5, **changes}


async def events_of(pool: Pool, product_id: str) -> list[ProductUpserted]:
    rows = await pool.fetch(
        "SELECT body FROM catalog.outbox WHERE key = $1 AND topic = 'product-updates' ORDER BY seq",
        product_id,
    )
    payloads = [decode(row["body"]).payload for row in rows]
    assert all(isinstance(payload, ProductUpserted) for payload in payloads)
    return payloads  # type: ignore[return-value]


def test_the_seed_is_a_believable_shop() -> None:
    found = list(products())
    assert len(found) == 300
    assert len({one.sku for one in found}) == len({one.name for one in found}) == 300
    for category in CATEGORIES:
        assert sum(one.category == category for one in found) == 30
    for one in found:
        assert Decimal("2") < one.price < Decimal("500"), one
        assert one.stock >= 20, one
        assert len(one.description) > 20, one


async def test_a_second_seed_adds_nothing_and_overwrites_nothing(
    shelf: httpx.AsyncClient, pool: Pool
) -> None:
    await pool.execute("DELETE FROM catalog.products WHERE sku = 'KIT-1001'")
    await pool.execute("UPDATE catalog.products SET price = 1 WHERE sku = 'KIT-1002'")
    added = await asyncio.gather(seed(pool), seed(pool))
    assert sum(added) == 1
    price = await pool.fetchval("SELECT price FROM catalog.products WHERE sku = 'KIT-1002'")
    assert price == Decimal("1.00")
    row = await pool.fetchrow("SELECT id, stock FROM catalog.products WHERE sku = 'KIT-1001'")
    assert row is not None
    (event,) = await events_of(pool, str(row["id"]))
    assert (event.price_minor, event.stock_delta) == (5990, row["stock"])


async def test_everybody_may_browse_page_by_page(shelf: httpx.AsyncClient) -> None:
    categories = (await shelf.get(URL + "/categories")).json()["items"]
    books = next(one for one in categories if one["slug"] == "books")
    assert books["products"] == 30
    seen: list[str] = []
    query: dict[str, Any] = {"category": "books", "limit": 7}
    while True:
        page = (await shelf.get(URL + "/products", params=query)).json()
        seen += [one["name"] for one in page["items"]]
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 30


async def test_search_finds_by_rank_page_by_page(shelf: httpx.AsyncClient) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"q": "wool", "limit": 3}
    while True:
        page = (await shelf.get(URL + "/products", params=query)).json()
        seen += [one["sku"] for one in page["items"]]
        if "next_cursor" not in page:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) >= 4
    # A word in the name counts for more than one in the description.
    assert "HOM-2003" in seen[:4]
    nothing = await shelf.get(URL + "/products", params={"q": "quantum chromodynamics"})
    assert nothing.json() == {"items": []}
    odd = await shelf.get(URL + "/products", params={"q": "\"' & | ! :* -- %"})
    assert odd.status_code == 200


async def test_a_product_is_read_again_only_when_it_changed(
    shelf: httpx.AsyncClient, pool: Pool, admin: dict[str, str]
) -> None:
    added = await shelf.post(URL + "/products", json=new(), headers=admin)
    assert added.status_code == 201, added.text
    path = added.headers["location"]
    first = await shelf.get(path)
    same = {"if-none-match": first.headers["etag"]}
    assert (await shelf.get(path, headers=same)).status_code == 304
    await pool.execute("UPDATE catalog.products SET stock = 4 WHERE sku = $1", added.json()["sku"])
    assert (await shelf.get(path, headers=same)).json()["stock"] == 4
    assert (await shelf.get(f"{URL}/products/{new_id()}")).status_code == 404
    assert (await shelf.get(f"{URL}/products/lamp")).status_code == 404


async def test_an_editor_does_not_overwrite_another(
    shelf: httpx.AsyncClient, pool: Pool, admin: dict[str, str]
) -> None:
    added = await shelf.post(URL + "/products", json=new(price="10.00"), headers=admin)
    path, tag = added.headers["location"], added.headers["etag"]
    assert (await shelf.patch(path, json={"price": "9.99"}, headers=admin)).status_code == 428
    headers = {**admin, "if-match": tag}
    edits = await asyncio.gather(
        *(shelf.patch(path, json={"price": f"{n}.00"}, headers=headers) for n in range(1, 9))
    )
    assert sorted(edit.status_code for edit in edits) == [200] + [412] * 7
    (won,) = (edit for edit in edits if edit.status_code == 200)
    events = await events_of(pool, added.json()["id"])
    assert [event.price_minor for event in events] == [
        1000,
        int(Decimal(won.json()["price"]) * 100),
    ]
    # A sale moves the stock and the tag, and an editor may still go on.
    await pool.execute("UPDATE catalog.products SET stock = 1 WHERE sku = $1", added.json()["sku"])
    headers["if-match"] = won.headers["etag"]
    gone = await shelf.patch(path, json={"active": False}, headers=headers)
    assert gone.json()["active"] is False
    assert (await events_of(pool, added.json()["id"]))[-1].active is False


async def test_stock_moves_by_what_arrives_and_what_is_lost(
    shelf: httpx.AsyncClient, pool: Pool, admin: dict[str, str]
) -> None:
    added = await shelf.post(URL + "/products", json=new(stock=5), headers=admin)
    path = added.headers["location"] + "/stock"
    moves = [await shelf.post(path, json={"delta": delta}, headers=admin) for delta in (3, -10, 4)]
    # Two more were lost than there were: the next arrival pays them.
    assert [move.json()["stock"] for move in moves] == [8, 0, 2]
    events = await events_of(pool, added.json()["id"])
    assert [event.stock_delta for event in events] == [5, 3, -10, 4]
    await pool.execute(
        "UPDATE catalog.products SET stock = 1999999999 WHERE sku = $1", added.json()["sku"]
    )
    full = await shelf.post(path, json={"delta": 2}, headers=admin)
    assert (full.status_code, full.json()["detail"]) == (409, "no stock is that large")
    nothing = f"{URL}/products/{new_id()}/stock"
    assert (await shelf.post(nothing, json={"delta": 1}, headers=admin)).status_code == 404


async def test_what_may_not_be_is_refused(
    shelf: httpx.AsyncClient, admin: dict[str, str], mint: Mint
) -> None:
    known = new()
    assert (await shelf.post(URL + "/products", json=known, headers=admin)).status_code == 201
    twice = await shelf.post(URL + "/products", json=known, headers=admin)
    assert (twice.status_code, twice.json()["errors"][0]["field"]) == (409, "sku")
    for change, field in (
        ({"category": "weapons"}, "category"),
        ({"price": "-1"}, "price"),
        ({"price": "1.005"}, "price"),
        ({"name": "  "}, "name"),
        ({"stock": -1}, "stock"),
        ({"colour": "red"}, "colour"),
    ):
        answer = await shelf.post(URL + "/products", json=new(**change), headers=admin)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    customer = bearer(mint("customer"))
    assert (await shelf.post(URL + "/products", json=new(), headers=customer)).status_code == 403
    assert (await shelf.post(URL + "/products", json=new())).status_code == 401
