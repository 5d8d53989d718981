"""Orders in PostgreSQL: an order, its stock, its answer and its event commit together.

What is kept of the stock is in `stock`, what is kept of answers in `kept`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ecap.clients import outbox
from ecap.clients.postgres import Connection, Pool, Record, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.domain.commerce.orders import Placed, changed, may_become, returns_stock, takes_stock
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderStatus
from ecap.domain.events.payload import Payload
from ecap.domain.fraud.scoring import Verdict
from ecap.domain.values.money import to_minor
from ecap.errors import Conflict, NotFound
from ecap.mesh import current
from ecap.serve.endpoints.idempotency import Attempt
from ecap.serve.endpoints.pages import Page, moment_cursor, page
from ecap.serve.endpoints.routing import Raw
from ecap.serve.orders import stock
from ecap.serve.orders.destinations import Destinations
from ecap.serve.orders.draft import Draft
from ecap.serve.orders.kept import Answers, first_answer, unsent
from ecap.serve.orders.models import (
    Change,
    Order,
    OrderLine,
    OrderQuery,
    OrderSummary,
)

_SQL = load_queries(__package__)


class Orders:
    def __init__(self, pool: Pool, destinations: Destinations, answers: Answers) -> None:
        self._pool = pool
        self._destinations = destinations
        self._answers = answers

    async def place(
        self, attempt: Attempt, draft: Draft, verdict: Verdict, *, scored: bool
    ) -> tuple[Raw, bool]:
        """The answer, and whether it is the first of its key.

        Raises InFlight, or Conflict when the stock does not suffice.
        """
        order = draft.order(verdict)
        answer = first_answer(order)
        # Before the transaction: without the keyring nothing is begun, and nothing is locked while
        # it seals.
        sealed = self._destinations.sealed(order)
        async with self._pool.transaction() as conn:
            earlier = await self._answers.kept(conn, attempt, first_answer(unsent(order)))
            if earlier is not None:
                return earlier, False
            await _insert(conn, order, verdict, sealed)
            await _announce(
                conn, draft.event(verdict, scored=scored), order.user_id, now=order.placed_at
            )
            if takes_stock(order.status):
                # Last, so that a sought-after product is locked for a moment only.
                await stock.reserve(conn, order.lines)
        return answer, True

    async def order(self, order_id: UUID, *, owner: UUID | None) -> Order:
        """Raises NotFound; also for an order of somebody else than `owner`."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(_SQL["order"], order_id)
            return await self._order(conn, _visible(row, owner))

    async def page(self, query: OrderQuery, *, owner: UUID | None) -> Page[OrderSummary]:
        """Newest first; of every user when `owner` is None."""
        after = moment_cursor(query.cursor)
        if owner is None:
            rows = await self._pool.fetch(
                _SQL["page_of_all"], query.status, *after, query.limit + 1
            )
        else:
            rows = await self._pool.fetch(
                _SQL["page_of_user"], owner, query.status, *after, query.limit + 1
            )
        return page(rows, query.limit, _summary, by=("placed_at", "id"))

    async def change(
        self,
        order_id: UUID,
        status: OrderStatus,
        *,
        owner: UUID | None,
        actor: str,
        reason: str,
        now: datetime,
    ) -> Order:
        """Raises NotFound, or Conflict where this status may not follow.

        Cancelling what is cancelled changes nothing, so that it can be repeated.
        """
        async with self._pool.transaction() as conn:
            # Locked before anything is decided: two that cancel at once would both put the units
            # back.
            row = _visible(await conn.fetchrow(_SQL["lock_order"], order_id), owner)
            previous: OrderStatus = row["status"]
            if previous == status == "cancelled":
                return await self._order(conn, row)
            if not may_become(previous, status):
                raise Conflict(f"an order that is {previous} does not become {status}")
            order = await self._order(conn, row)
            event = changed(_placed(order), previous, status, reason=reason, actor=actor)
            await conn.execute(_SQL["change"], order_id, status, previous, actor, reason, now)
            await _announce(conn, event, order.user_id, now=now)
            if returns_stock(previous, status):
                # Last, as in `place`: products are locked for a moment only.
                await stock.put_back(conn, order_id)
            return await self._order(conn, await conn.fetchrow(_SQL["order"], order_id))

    async def _order(self, conn: Connection, row: Record | None) -> Order:
        assert row is not None
        lines = await conn.fetch(_SQL["lines"], row["id"])
        history = await conn.fetch(_SQL["history"], row["id"])
        values = dict(row)
        shipping = await self._destinations.opened(row["id"], values.pop("sealed"))
        return Order.model_construct(
            **values,
            shipping=shipping,
            lines=tuple(OrderLine.model_construct(**dict(line)) for line in lines),
            history=tuple(Change.model_construct(**dict(one)) for one in history),
        )


async def _insert(conn: Connection, order: Order, verdict: Verdict, sealed: bytes | None) -> None:
    try:
        await conn.execute(
            _SQL["place"],
            order.id,
            order.user_id,
            order.status,
            order.amount,
            order.currency,
            order.decision,
            verdict.score,
            verdict.reasons,
            sealed,
            order.placed_at,
            [line.product_id for line in order.lines],
            [line.sku for line in order.lines],
            [line.name for line in order.lines],
            [line.category for line in order.lines],
            [line.quantity for line in order.lines],
            [line.unit_price for line in order.lines],
        )
    except UniqueViolation as exc:
        raise Conflict(
            "this key placed an order so long ago that its answer is gone",
            field="Idempotency-Key",
            order_id=order.id,
        ) from exc


async def _announce(conn: Connection, payload: Payload, user_id: UUID, *, now: datetime) -> None:
    event = new_event(
        payload,
        key=str(user_id),
        producer="orders",
        now=now,
        traceparent=current().trace.traceparent,
    )
    await outbox.append(conn, "orders", "transactions", [event])


def _summary(row: Record) -> OrderSummary:
    return OrderSummary.model_construct(**dict(row))


def _visible(row: Record | None, owner: UUID | None) -> Record:
    # Whose order it is, is nobody else's business: the same answer as for none.
    if row is None or (owner is not None and row["user_id"] != owner):
        raise NotFound("no such order")
    return row


def _placed(order: Order) -> Placed:
    return Placed(
        order_id=order.id,
        user_id=order.user_id,
        amount_minor=to_minor(order.amount),
        currency=order.currency,
        lines=tuple(
            Line(line.product_id, line.category, line.quantity, to_minor(line.unit_price))
            for line in order.lines
        ),
        placed_at=order.placed_at,
    )
