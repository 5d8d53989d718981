"""What the stream computed, read; and what clients tell, handed on to the stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ecap.clients import outbox
from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.domain.events.browsing import ProductSearched, ProductViewed
from ecap.domain.events.envelope import Event, new_event
from ecap.mesh import current
from ecap.serve.analytics.models import (
    BucketQuery,
    ClientEvents,
    OrdersCell,
    OrdersOverTime,
    OutcomeTotal,
    Range,
    Revenue,
    RevenueCell,
    RevenueQuery,
    Searched,
    Summary,
    TopProduct,
    TopProducts,
    TopQuery,
    Viewed,
)

_SQL = load_queries(__package__)
_CENT = Decimal("0.01")


class Analytics:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def revenue(self, query: RevenueQuery, span: Range) -> Revenue:
        rows = await self._pool.fetch(
            _SQL["revenue"], span.start, span.end, query.bucket, query.category, query.outcome
        )
        items = tuple(RevenueCell.model_construct(**dict(row)) for row in rows)
        return Revenue(start=span.start, end=span.end, bucket=query.bucket, items=items)

    async def orders(self, query: BucketQuery, span: Range) -> OrdersOverTime:
        rows = await self._pool.fetch(
            _SQL["orders"], span.start, span.end, query.bucket, query.outcome
        )
        items = tuple(OrdersCell.model_construct(**dict(row)) for row in rows)
        return OrdersOverTime(start=span.start, end=span.end, bucket=query.bucket, items=items)

    async def top_products(self, query: TopQuery, span: Range) -> TopProducts:
        rows = await self._pool.fetch(
            _SQL["top_products"], span.start, span.end, query.by, query.limit
        )
        items = tuple(TopProduct.model_construct(**dict(row)) for row in rows)
        return TopProducts(start=span.start, end=span.end, items=items)

    async def summary(self, span: Range) -> Summary:
        async with self._pool.connection() as conn:
            rows = await conn.fetch(_SQL["outcomes"], span.start, span.end)
            activity = await conn.fetch(_SQL["activity"], span.start, span.end)
            late = await conn.fetchval(_SQL["late"], span.start, span.end)
        outcomes = tuple(_total(row) for row in rows)
        events = {row["kind"]: row["events"] for row in activity}
        return Summary(
            start=span.start,
            end=span.end,
            outcomes=outcomes,
            orders=sum(one.orders for one in outcomes),
            amount=sum((one.amount for one in outcomes), Decimal(0)),
            product_views=events.get("product_viewed", 0),
            searches=events.get("product_searched", 0) + events.get("search_empty", 0),
            late_events=late,
        )

    async def accept(self, batch: ClientEvents, *, user_id: UUID, now: datetime) -> int:
        """Accepted means in the outbox: from there nothing is lost."""
        events = [_event(one, user_id, now) for one in batch.events]
        async with self._pool.transaction() as conn:
            await outbox.append(conn, "analytics", "user-events", events)
        return len(events)

    async def revision(self) -> int:
        return int(await self._pool.fetchval(_SQL["revision"]))

    async def changes(self, *, after: int, upto: int | None, limit: int) -> Sequence[Record]:
        return await self._pool.fetch(_SQL["changes"], after, upto, limit)

    async def recent(self, *, since: datetime, upto: int) -> Sequence[Record]:
        return await self._pool.fetch(_SQL["recent"], since, upto)


def _total(row: Record) -> OutcomeTotal:
    orders, amount = row["orders"], row["amount"]
    return OutcomeTotal(
        outcome=row["outcome"],
        orders=orders,
        amount=amount,
        average=(amount / orders).quantize(_CENT) if orders else None,
    )


def _event(one: Viewed | Searched, user_id: UUID, now: datetime) -> Event:
    payload: ProductViewed | ProductSearched
    if isinstance(one, Viewed):
        payload = ProductViewed(
            session_id=one.session_id, product_id=one.product_id, user_id=user_id
        )
    else:
        payload = ProductSearched(
            session_id=one.session_id, query=one.query, results=one.results, user_id=user_id
        )
    return new_event(
        payload,
        key=one.session_id,
        producer="analytics",
        now=now,
        traceparent=current().trace.traceparent,
    )
