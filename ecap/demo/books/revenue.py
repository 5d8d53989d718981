"""What the stream added to the minutes of analytics, compared with the events it read.

Analytics keeps sums, no orders. Between two snapshots it must have added exactly what
the events between the two positions say, whoever placed those orders; taking away
what others placed leaves the part of this run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from ecap.demo.books.amounts import money
from ecap.demo.books.books import Analytics
from ecap.domain.analytics.revenue import Totals
from ecap.domain.events.envelope import Event
from ecap.domain.events.orders import OrderApproved, OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.values.windows import micros, moment

Key = TypeVar("Key", bound=tuple[object, ...])
Cells = Mapping[Key, tuple[int, int]]


@dataclass(frozen=True)
class Share:
    """Of the additions: `own` is what is left of the difference of the two snapshots
    without the events of others. [count, amount in minor units]"""

    orders: tuple[int, int]
    by_category: Mapping[str, tuple[int, int]]
    """Units instead of orders."""
    by_outcome: Mapping[str, tuple[int, int]]
    others: int
    """Orders of other people in the same time."""
    order_faults: tuple[str, ...]
    revenue_faults: tuple[str, ...]


def share(
    before: Analytics, after: Analytics, events: Iterable[Event], users: frozenset[UUID]
) -> Share:
    """`events` are all those between the positions of the two snapshots."""
    own, others, theirs = Totals(), Totals(), 0
    for event in events:
        mine = getattr(event.payload, "user_id", None) in users
        theirs += not mine and isinstance(event.payload, OrderPlaced)
        _count(own if mine else others, event)
    since = before.since
    orders = _minus(after.orders, before.orders)
    revenue = _minus(after.revenue, before.revenue)
    own_orders, other_orders = _orders(own, since), _orders(others, since)
    own_revenue, other_revenue = _revenue(own, since), _revenue(others, since)
    rest_orders = _minus(orders, other_orders)
    rest_revenue = _minus(revenue, other_revenue)
    return Share(
        orders=add_up(rest_orders.values()),
        by_category=_grouped(rest_revenue, lambda key: key[1]),
        by_outcome=_grouped(rest_orders, lambda key: key[1]),
        others=theirs,
        order_faults=_faults(rest_orders, own_orders),
        revenue_faults=_faults(rest_revenue, own_revenue),
    )


def _count(totals: Totals, event: Event) -> None:
    payload = event.payload
    if isinstance(payload, OrderPlaced):
        totals.placed(payload, micros(event.occurred_at))
    elif isinstance(payload, OrderApproved | OrderDenied | OrderCancelled):
        totals.changed(payload)


def _orders(totals: Totals, since: datetime) -> Cells[tuple[datetime, str]]:
    return {
        (moment(minute), outcome): (count, amount)
        for (minute, outcome), (count, amount) in totals.orders.items()
        if moment(minute) >= since
    }


def _revenue(totals: Totals, since: datetime) -> Cells[tuple[datetime, str, str]]:
    return {
        (moment(minute), category, outcome): (units, amount)
        for (minute, category, outcome), (units, amount) in totals.revenue.items()
        if moment(minute) >= since
    }


def _minus(cells: Cells[Key], less: Cells[Key]) -> Cells[Key]:
    result = {}
    for key in cells.keys() | less.keys():
        count, amount = cells.get(key, (0, 0))
        less_count, less_amount = less.get(key, (0, 0))
        if (count, amount) != (less_count, less_amount):
            result[key] = (count - less_count, amount - less_amount)
    return result


def add_up(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    counts, amounts = 0, 0
    for count, amount in pairs:
        counts, amounts = counts + count, amounts + amount
    return counts, amounts


def _grouped(cells: Cells[Key], by: Callable[[Key], str]) -> dict[str, tuple[int, int]]:
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, pair in cells.items():
        groups[by(key)].append(pair)
    sums = {name: add_up(pairs) for name, pairs in groups.items()}
    return {name: pair for name, pair in sums.items() if any(pair)}


def _faults(found: Cells[Key], expected: Cells[Key]) -> tuple[str, ...]:
    wrong = _minus(found, expected)
    return tuple(
        f"{_name(key)}: off by {count:+d} and {money(amount)}"
        for key, (count, amount) in sorted(wrong.items(), key=lambda item: str(item[0]))
    )


def _name(key: tuple[object, ...]) -> str:
    return " ".join(
        f"{part:%H:%M} UTC" if isinstance(part, datetime) else str(part) for part in key
    )
