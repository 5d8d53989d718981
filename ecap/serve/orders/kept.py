"""What a customer is answered who places an order, kept for whoever repeats the request."""

from __future__ import annotations

import json

from ecap.clients.postgres import Connection, Pool
from ecap.clients.queries import load_queries
from ecap.domain.values import ids
from ecap.serve.endpoints.idempotency import Attempt, InFlight
from ecap.serve.endpoints.routing import Raw
from ecap.serve.orders.destinations import Destinations
from ecap.serve.orders.models import Order

_SQL = load_queries(__package__)
_PREFIX = "/api/v1/orders"


def body_of(order: Order) -> bytes:
    return order.model_dump_json(exclude_none=True).encode()


def first_answer(order: Order) -> Raw:
    return Raw(
        body_of(order),
        "application/json",
        201,
        (("location", f"{_PREFIX}/{order.id}"), ("etag", f'"{order.version}"')),
    )


def unsent(order: Order) -> Order:
    """As an answer is kept: where it is sent is only in the order itself, sealed."""
    return order.model_copy(update={"shipping": None})


class Answers:
    def __init__(self, pool: Pool, destinations: Destinations) -> None:
        self._pool = pool
        self._destinations = destinations

    async def given(self, attempt: Attempt) -> Raw | None:
        """What this key was answered before. Raises Invalid for another request."""
        async with self._pool.connection() as conn:
            return await self._given(conn, attempt)

    async def kept(self, conn: Connection, attempt: Attempt, answer: Raw) -> Raw | None:
        """Keeps the first answer of a key in the caller's transaction; for a later one it
        says what the first was.

        Raises InFlight while another request with this key runs, Invalid for another request.
        """
        # Tried, not waited for. Without it the insert below would wait for the transaction of the
        # first request, and hold a connection as long.
        if not await conn.fetchval(_SQL["lock"], attempt.lock):
            raise InFlight("the same request is under way; ask again")
        if await _keep(conn, attempt, answer):
            return None
        earlier = await self._given(conn, attempt)
        # It was written after this request began (`given` found none), so it is too young to be
        # forgotten in between.
        assert earlier is not None
        return earlier

    async def _given(self, conn: Connection, attempt: Attempt) -> Raw | None:
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
            shipping = await self._destinations.opened(order.id, row["sealed"])
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
