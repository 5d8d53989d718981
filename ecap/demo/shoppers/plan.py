"""Everything the shoppers will do, decided before the first request.

The same seed, rate, duration, number of shoppers and catalog give the same plan;
what becomes of it is up to the system.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from random import Random

from ecap.demo.shoppers.people import Kind, cast, person
from ecap.demo.shoppers.script import TESTER_ORDERS, Script
from ecap.demo.shoppers.shelf import Shelf
from ecap.demo.shoppers.steps import Visit
from ecap.domain.fraud.thresholds import Thresholds

_ORDERS_EACH = 4
_PLANNED: dict[Kind, int] = {"card_tester": TESTER_ORDERS, "account_taker": 2, "traveller": 2}


@dataclass(frozen=True)
class Wishes:
    seed: int
    seconds: float
    rate: float
    shoppers: int | None = None

    @property
    def orders(self) -> int:
        return max(1, round(self.rate * self.seconds))

    @property
    def people(self) -> int:
        """By default so many that nobody orders like a machine: see Thresholds.velocity_count."""
        return self.shoppers or math.ceil(self.orders / _ORDERS_EACH)


def plan(wishes: Wishes, shelf: Shelf, *, run: str, thresholds: Thresholds) -> list[Visit]:
    """By arrival."""
    kinds = cast(wishes.people)
    left = wishes.orders - sum(_PLANNED.get(kind, 0) for kind in kinds)
    dealt = _deal(max(0, left), kinds, wishes)
    visits = []
    for number, kind in enumerate(kinds):
        rng = Random(f"{wishes.seed}/{number}")  # noqa: S311  shoppers are no secret
        who = person(number, kind, rng, run=run)
        script = Script(who, shelf, rng, wishes.seconds, thresholds)
        visits.append(script.write(dealt[number]))
    return sorted(visits, key=lambda visit: (visit.arrives_s, visit.person.number))


def _deal(orders: int, kinds: list[Kind], wishes: Wishes) -> Counter[int]:
    """Orders to honest people, a few each; more only when there are too few people."""
    rng = Random(f"{wishes.seed}/orders")  # noqa: S311
    honest = [number for number, kind in enumerate(kinds) if kind == "honest"]
    room = math.ceil(_ORDERS_EACH * 1.25 * max(1.0, wishes.seconds / 60.0))
    dealt: Counter[int] = Counter()
    free = list(honest)
    for _ in range(orders):
        if not free:
            free, room = list(honest), room * 2
        at = rng.randrange(len(free))
        dealt[free[at]] += 1
        if dealt[free[at]] >= room:
            free[at] = free[-1]
            free.pop()
    return dealt
