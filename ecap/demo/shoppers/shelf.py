"""What a shopper can put into a basket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from ecap.errors import NotFound


@dataclass(frozen=True)
class Goods:
    id: UUID
    name: str
    category: str
    price_minor: int


@dataclass(frozen=True)
class Wanted:
    goods: Goods
    quantity: int

    @property
    def amount_minor(self) -> int:
        return self.goods.price_minor * self.quantity


Basket = tuple[Wanted, ...]


def total_minor(basket: Basket) -> int:
    return sum(wanted.amount_minor for wanted in basket)


class Shelf:
    """Raises NotFound when there is nothing to sell."""

    def __init__(self, goods: Sequence[Goods]) -> None:
        if not goods:
            raise NotFound("the catalog has no product in stock: nothing to order")
        self._goods = sorted(goods, key=lambda one: (one.price_minor, one.id))
        self.categories = sorted({one.category for one in goods})

    def any(self, rng: Random) -> Goods:
        return rng.choice(self._goods)

    def words(self, rng: Random) -> str:
        return rng.choice(self.any(rng).name.split())

    def usual(self, rng: Random, *, below_minor: int) -> Basket:
        """One to three kinds of things, mostly one of each, worth less than the limit."""
        basket: list[Wanted] = []
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            left = below_minor - total_minor(tuple(basket))
            fitting = [one for one in self._goods if one.price_minor < left]
            goods = rng.choice(fitting or self._goods[:1])
            most = max(1, min(2, (left - 1) // max(goods.price_minor, 1)))
            if all(wanted.goods != goods for wanted in basket):
                basket.append(Wanted(goods, rng.choice((1, 1, 1, most))))
        return tuple(basket)

    def small(self, rng: Random, *, below_minor: int) -> Basket:
        """One cheap thing; the cheapest there is when nothing is that cheap."""
        cheap = [one for one in self._goods if one.price_minor < below_minor]
        return (Wanted(rng.choice(cheap or self._goods[:1]), 1),)

    def worth(self, rng: Random, *, least_minor: int, most_quantity: int) -> Basket:
        """As many of one thing as are worth the amount; the dearest when none suffices."""
        enough = [one for one in self._goods if one.price_minor * most_quantity >= least_minor]
        goods = rng.choice(enough or self._goods[-1:])
        needed = -(-least_minor // max(goods.price_minor, 1))
        return (Wanted(goods, min(most_quantity, max(1, needed))),)
