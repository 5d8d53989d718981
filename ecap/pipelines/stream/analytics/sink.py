"""A batch becomes one addition to each cell it touches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec

from ecap.clients import outbox
from ecap.clients.postgres import Connection, Record
from ecap.clients.queries import load_queries
from ecap.domain.analytics.revenue import HOUR, Totals
from ecap.domain.events.browsing import ProductSearched, ProductViewed
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.minutes import RevenueMinute
from ecap.domain.events.orders import OrderChanged, OrderPlaced
from ecap.domain.events.products import ProductUpserted
from ecap.domain.values.money import to_decimal, to_minor
from ecap.domain.values.windows import moment

_SQL = load_queries(__package__)

Countable = OrderPlaced | OrderChanged | ProductViewed | ProductSearched | ProductUpserted


class Counted(msgspec.Struct, frozen=True):
    """`at` in microseconds; `late_topic` is set for a late event."""

    payload: Countable
    at: int
    late_topic: str | None


class Additions:
    """What a batch adds to the stored totals. The job that recomputes them adds up here, too."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.views: Counter[tuple[int, UUID]] = Counter()
        self.activity: Counter[tuple[int, str]] = Counter()
        self.late: Counter[tuple[int, str]] = Counter()
        self.products: dict[UUID, tuple[ProductUpserted, int]] = {}

    def add(self, result: Counted) -> None:
        payload, at = result.payload, result.at
        hour = at - at % HOUR
        if isinstance(payload, OrderPlaced):
            self.totals.placed(payload, at)
        elif isinstance(payload, ProductViewed):
            self.views[hour, payload.product_id] += 1
            self.activity[hour, "product_viewed"] += 1
        elif isinstance(payload, ProductSearched):
            kind = "product_searched" if payload.results else "search_empty"
            self.activity[hour, kind] += 1
        elif isinstance(payload, ProductUpserted):
            self.products[payload.product_id] = (payload, at)
        else:
            self.totals.changed(payload)
        if result.late_topic is not None:
            self.late[hour, result.late_topic] += 1


async def write(conn: Connection, results: Sequence[Counted]) -> None:
    batch = Additions()
    for result in results:
        batch.add(result)
    await conn.execute(_SQL["serialize"])
    await _revenue(conn, batch.totals, newest=max(result.at for result in results))
    await _orders(conn, batch.totals)
    await _products(conn, batch)
    await _counts(conn, "add_activity", batch.activity)
    await _counts(conn, "add_late", batch.late)
    await _names(conn, batch.products)


async def _revenue(conn: Connection, totals: Totals, *, newest: int) -> None:
    changed = [(key, pair) for key, pair in totals.revenue.items() if any(pair)]
    if not changed:
        return
    cells = await conn.fetch(
        _SQL["add_revenue"],
        [moment(minute) for (minute, _, _), _ in changed],
        [category for (_, category, _), _ in changed],
        [outcome for (_, _, outcome), _ in changed],
        [units for _, (units, _) in changed],
        [to_decimal(amount) for _, (_, amount) in changed],
    )
    events = [_event(cell, newest) for cell in cells]
    await outbox.append(conn, "analytics", "analytics-results", events)


def _event(cell: Record, newest: int) -> Event:
    """Tells the cell's new total, not the change."""
    return new_event(
        RevenueMinute(
            minute=cell["minute"],
            category=cell["category"],
            outcome=cell["outcome"],
            amount_minor=to_minor(cell["amount"]),
            units=cell["units"],
        ),
        key=f"revenue:{cell['category']}:{cell['outcome']}",
        producer="analytics",
        now=moment(newest),
    )


async def _orders(conn: Connection, totals: Totals) -> None:
    changed = [(key, pair) for key, pair in totals.orders.items() if any(pair)]
    if changed:
        await conn.execute(
            _SQL["add_orders"],
            [moment(minute) for (minute, _), _ in changed],
            [outcome for (_, outcome), _ in changed],
            [orders for _, (orders, _) in changed],
            [to_decimal(amount) for _, (_, amount) in changed],
        )


async def _products(conn: Connection, batch: Additions) -> None:
    rows: dict[tuple[int, UUID], list[int]] = defaultdict(lambda: [0, 0, 0])
    for key, (units, amount) in batch.totals.sold.items():
        rows[key][:2] = units, amount
    for key, views in batch.views.items():
        rows[key][2] = views
    changed = [(key, counts) for key, counts in rows.items() if any(counts)]
    if changed:
        await conn.execute(
            _SQL["add_products"],
            [moment(hour) for (hour, _), _ in changed],
            [product for (_, product), _ in changed],
            [units for _, (units, _, _) in changed],
            [to_decimal(amount) for _, (_, amount, _) in changed],
            [views for _, (_, _, views) in changed],
        )


async def _counts(conn: Connection, query: str, counts: Counter[tuple[int, str]]) -> None:
    if counts:
        await conn.execute(
            _SQL[query],
            [moment(hour) for hour, _ in counts],
            [name for _, name in counts],
            list(counts.values()),
        )


async def _names(conn: Connection, products: dict[UUID, tuple[ProductUpserted, int]]) -> None:
    if products:
        named = [product for product, _ in products.values()]
        await conn.execute(
            _SQL["name_products"],
            list(products),
            [product.sku for product in named],
            [product.name for product in named],
            [product.category for product in named],
            [product.active for product in named],
            [moment(at) for _, at in products.values()],
        )
