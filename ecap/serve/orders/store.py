"""Orders in PostgreSQL: an order, its stock, its answer and its event commit together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from ecap.clients import outbox
from ecap.clients.postgres import Connection, Pool, Record, UniqueViolation
from ecap.clients.queries import load_queries
from ecap.config.secrets.keyring.live import LiveKeyring
from ecap.config.secrets.rows import SealedRows
from ecap.domain.commerce.orders import Placed, changed, may_become, returns_stock, takes_stock
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderStatus
from ecap.domain.events.payload import Payload
from ecap.domain.fraud.scoring import Verdict
from ecap.domain.values import ids
from ecap.domain.values.money import to_minor
from ecap.errors import Conflict, NotFound
from ecap.mesh import current
from ecap.serve.endpoints.idempotency import Attempt, InFlight
from ecap.serve.endpoints.models import Page, encode_cursor, instant_cursor
from ecap.serve.endpoints.routing import Raw
from ecap.serve.orders.answers import body_of, first_answer, unsent
from ecap.serve.orders.draft import Draft
from ecap.serve.orders.models import (
    Change,
    Order,
    OrderLine,
    OrderQuery,
    OrderSummary,
    Shipping,
)

_SQL = load_queries(__package__)


class Orders:
    def __init__(self, pool: Pool, keys: LiveKeyring) -> None:
        self._pool = pool
        self._rows = SealedRows(keys, table="orders.orders")

    async def answer(self, attempt: Attempt) -> Raw | None:
        """What this key was answered before. Raises Invalid for another request."""
        async with self._pool.connection() as conn:
            return await self._answer(conn, attempt)

    async def items(self, product_ids: Iterable[UUID]) -> Mapping[UUID, Record]:
        rows = await self._pool.fetch(_SQL["items"], list(product_ids))
        return {row["product_id"]: row for row in rows}

    async def place(
        self, attempt: Attempt, draft: Draft, verdict: Verdict, *, scored: bool
    ) -> tuple[Raw, bool]:
        """The answer, and whether it is the first of its key.

        Raises InFlight, or Conflict when the stock does not suffice.
        """
        order = draft.order(verdict)
        answer = first_answer(order)
        sealed = None
        if order.shipping is not None:
            sealed = self._rows.seal(order.id, order.shipping.model_dump(exclude_none=True))
        async with self._pool.transaction() as conn:
            if not await conn.fetchval(_SQL["lock"], attempt.lock):
                raise InFlight("the same request is under way; ask again")
            if not await _keep(conn, attempt, first_answer(unsent(order))):
                earlier = await self._answer(conn, attempt)
                assert earlier is not None
                return earlier, False
            await _insert(conn, order, verdict, sealed)
            await _announce(
                conn, draft.event(verdict, scored=scored), order.user_id, now=order.placed_at
            )
            if takes_stock(order.status):
                # Last, so that a sought-after product is locked for a moment only.
                await _reserve(conn, order.lines)
        return answer, True

    async def order(self, order_id: UUID, *, owner: UUID | None) -> Order:
        """Raises NotFound; also for an order of somebody else than `owner`."""
        async with self._pool.connection() as conn:
            row = await conn.fetchrow(_SQL["order"], order_id)
            return await self._order(conn, _visible(row, owner))

    async def page(self, query: OrderQuery, *, owner: UUID | None) -> Page[OrderSummary]:
        """Newest first; of every user when `owner` is None."""
        after = instant_cursor(query.cursor)
        if owner is None:
            rows = await self._pool.fetch(
                _SQL["page_of_all"], query.status, *after, query.limit + 1
            )
        else:
            rows = await self._pool.fetch(
                _SQL["page_of_user"], owner, query.status, *after, query.limit + 1
            )
        items = tuple(OrderSummary.model_construct(**dict(row)) for row in rows[: query.limit])
        more = len(rows) > query.limit
        last = encode_cursor(items[-1].placed_at, items[-1].id) if more else None
        return Page(items=items, next_cursor=last)

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
                await conn.execute(_SQL["put_back"], order_id)
            return await self._order(conn, await conn.fetchrow(_SQL["order"], order_id))

    async def _order(self, conn: Connection, row: Record | None) -> Order:
        assert row is not None
        lines = await conn.fetch(_SQL["lines"], row["id"])
        history = await conn.fetch(_SQL["history"], row["id"])
        values = dict(row)
        return Order.model_construct(
            **{**values, "shipping": await self._shipping(row["id"], values.pop("sealed"))},
            lines=tuple(OrderLine.model_construct(**dict(line)) for line in lines),
            history=tuple(Change.model_construct(**dict(one)) for one in history),
        )

    async def _shipping(self, order_id: UUID, sealed: bytes | None) -> Shipping | None:
        if sealed is None:
            return None
        return Shipping.model_validate(await self._rows.open(order_id, sealed))

    async def _answer(self, conn: Connection, attempt: Attempt) -> Raw | None:
        """Raises Invalid when the key was used for another request."""
        placed = ids.order_id(attempt.user_id, attempt.key)
        row = await conn.fetchrow(_SQL["answer"], attempt.user_id, attempt.key, placed)
        if row is None:
            return None
        attempt.check(row["fingerprint"])
        headers = tuple((name, value) for name, value in json.loads(row["headers"]))
        body: bytes = row["body"]
        if row["sealed"] is not None:
            order = Order.model_validate_json(body)
            shipping = await self._shipping(order.id, row["sealed"])
            body = body_of(order.model_copy(update={"shipping": shipping}))
        return Raw(body, "application/json", row["status"], headers)

    async def forget(self, *, older_than_s: float, limit: int) -> int:
        """Drop answers nobody may ask for again; says how many those were."""
        status = await self._pool.execute(_SQL["forget"], older_than_s, limit)
        return int(status.rpartition(" ")[2])


async def _keep(conn: Connection, attempt: Attempt, answer: Raw) -> bool:
    kept = await conn.fetchval(
        _SQL["keep"],
        attempt.user_id,
        attempt.key,
        attempt.fingerprint,
        answer.status,
        json.dumps(answer.headers),
        answer.body,
    )
    return bool(kept)


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


async def _reserve(conn: Connection, lines: tuple[OrderLine, ...]) -> None:
    wanted = [line.product_id for line in lines]
    rows = await conn.fetch(_SQL["reserve"], wanted, [line.quantity for line in lines])
    if len(rows) == len(lines):
        return
    reserved = {row["product_id"] for row in rows}
    left = {row["product_id"]: row["stock"] for row in await conn.fetch(_SQL["stock"], wanted)}
    short = [(at, line) for at, line in enumerate(lines) if line.product_id not in reserved]
    raise Conflict(
        "not enough in stock: " + ", ".join(line.name for _, line in short),
        errors=[
            {"field": f"lines.{at}.quantity", "message": f"{left[line.product_id]} left"}
            for at, line in short
        ],
        products=[line.product_id for _, line in short],
    )


async def _announce(conn: Connection, payload: Payload, user_id: UUID, *, now: datetime) -> None:
    event = new_event(
        payload,
        key=str(user_id),
        producer="orders",
        now=now,
        traceparent=current().trace.traceparent,
    )
    await outbox.append(conn, "orders", "transactions", [event])


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
