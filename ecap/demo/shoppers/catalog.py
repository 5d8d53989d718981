"""The catalog as a shopper sees it."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from ecap.demo.shoppers.door import FrontDoor
from ecap.demo.shoppers.shelf import Goods, Shelf
from ecap.domain.values.money import to_minor
from ecap.errors import Unavailable

_PATH = "/api/v1/catalog/products"
_PAGE = 100
_MOST = 2000


async def shelf(door: FrontDoor, *, currency: str) -> Shelf:
    """What is in stock now. Raises Unavailable, or NotFound when that is nothing."""
    goods: list[Goods] = []
    cursor: str | None = None
    while len(goods) < _MOST:
        params = {"limit": str(_PAGE)} | ({"cursor": cursor} if cursor else {})
        answer = await door.ask("GET", _PATH, params=params)
        if answer.status != 200:
            raise Unavailable(f"the catalog answers {answer.status} {answer.problem}")
        goods += [
            Goods(
                UUID(item["id"]), item["name"], item["category"], to_minor(Decimal(item["price"]))
            )
            for item in answer.document["items"]
            if item["active"] and item["stock"] > 0 and item["currency"] == currency
        ]
        cursor = answer.document.get("next_cursor")
        if cursor is None:
            break
    return Shelf(goods)
