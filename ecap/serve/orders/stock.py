"""The stock that orders sell from: it cannot be sold twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from ecap.clients.postgres import Connection, Pool, Record
from ecap.clients.queries import load_queries
from ecap.errors import Conflict
from ecap.serve.orders.models import OrderLine

_SQL = load_queries(__package__)


async def items(pool: Pool, product_ids: Iterable[UUID]) -> Mapping[UUID, Record]:
    """What is known of products, as it is sold; by id, without those that are not known."""
    rows = await pool.fetch(_SQL["items"], list(product_ids))
    return {row["product_id"]: row for row in rows}


async def reserve(conn: Connection, lines: tuple[OrderLine, ...]) -> None:
    """Takes the units of every line. Raises Conflict naming the lines with too few left."""
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


async def put_back(conn: Connection, order_id: UUID) -> None:
    """Units of an order that nobody wants any more; what is owed is paid first."""
    await conn.execute(_SQL["put_back"], order_id)
