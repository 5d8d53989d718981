"""Deliveries as PostgreSQL has them; the stream writes them and a worker sends them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.errors import Conflict, NotFound
from ecap.serve.endpoints.pages import Page, moment_cursor, page
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
        after = moment_cursor(query.cursor)
        rows = await self._pool.fetch(_SQL["of_user"], owner, query.status, *after, query.limit + 1)
        return page(rows, query.limit, _notification, by=("created_at", "id"))

    async def deliveries(self, query: DeliveryQuery) -> Page[DeliverySummary]:
        after = moment_cursor(query.cursor)
        rows = await self._pool.fetch(
            _SQL["of_all"], query.status, query.user_id, query.order_id, *after, query.limit + 1
        )
        return page(rows, query.limit, _delivery, by=("created_at", "id"))

    async def notification(self, notification_id: UUID, *, owner: UUID | None) -> Notification:
        """Raises NotFound; also for somebody else's than `owner`."""
        row = await self._pool.fetchrow(_SQL["one"], notification_id)
        if row is None or (owner is not None and row["user_id"] != owner):
            raise NotFound("no such notification")
        return _notification(row)

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


def _notification(row: Record) -> Notification:
    return Notification.model_construct(**_values(row, Notification))


def _delivery(row: Record) -> DeliverySummary:
    return DeliverySummary.model_construct(**_values(row, DeliverySummary))


def _values(row: Record, model: type[Notification]) -> dict[str, Any]:
    facts = json.loads(row["payload"])
    values = {name: row[name] for name in model.model_fields if name in row}
    return {**values, "amount": Decimal(facts["amount"]), "currency": facts["currency"]}
