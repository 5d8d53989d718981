"""Deliveries as PostgreSQL has them; the stream writes them and a worker sends them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.errors import Conflict, NotFound
from ecap.serve.endpoints.models import Page, encode_cursor, instant_cursor
from ecap.serve.notifications.models import (
    Attempt,
    Delivery,
    DeliveryQuery,
    DeliverySummary,
    Notification,
    NotificationQuery,
)

_SQL = load_queries(__package__)


class Deliveries:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def notifications(self, query: NotificationQuery, *, owner: UUID) -> Page[Notification]:
        after = instant_cursor(query.cursor)
        rows = await self._pool.fetch(_SQL["of_user"], owner, query.status, *after, query.limit + 1)
        items = tuple(
            Notification.model_construct(**_values(row, Notification))
            for row in rows[: query.limit]
        )
        return Page(items=items, next_cursor=_next(rows, query.limit))

    async def deliveries(self, query: DeliveryQuery) -> Page[DeliverySummary]:
        after = instant_cursor(query.cursor)
        rows = await self._pool.fetch(
            _SQL["of_all"], query.status, query.user_id, query.order_id, *after, query.limit + 1
        )
        items = tuple(
            DeliverySummary.model_construct(**_values(row, DeliverySummary))
            for row in rows[: query.limit]
        )
        return Page(items=items, next_cursor=_next(rows, query.limit))

    async def notification(self, notification_id: UUID, *, owner: UUID | None) -> Notification:
        """Raises NotFound; also for somebody else's than `owner`."""
        row = await self._pool.fetchrow(_SQL["one"], notification_id)
        if row is None or (owner is not None and row["user_id"] != owner):
            raise NotFound("no such notification")
        return Notification.model_construct(**_values(row, Notification))

    async def delivery(self, delivery_id: UUID) -> Delivery:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["one"], delivery_id)
        if row is None:
            raise NotFound("no such delivery")
        log = await self._pool.fetch(_SQL["log"], delivery_id)
        return Delivery.model_construct(
            **_values(row, DeliverySummary),
            log=tuple(Attempt.model_construct(**dict(one)) for one in log),
        )

    async def resend(self, delivery_id: UUID) -> Delivery:
        """Raises NotFound, or Conflict for one that has not failed."""
        if await self._pool.fetchval(_SQL["resend"], delivery_id) is None:
            found = await self.delivery(delivery_id)
            raise Conflict(f"only what failed is sent again; this is {found.status}")
        return await self.delivery(delivery_id)


def _values(row: Record, model: type[Notification]) -> dict[str, Any]:
    facts = json.loads(row["payload"])
    values = {name: row[name] for name in model.model_fields if name in row}
    return {**values, "amount": Decimal(facts["amount"]), "currency": facts["currency"]}


def _next(rows: list[Record], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    return encode_cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"])
