"""Availability: sales and returns move the stock the catalog shows.

The version of a product stays: an editor's If-Match must survive a sale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from ecap.actors.stream.pipeline import Record, Stateless
from ecap.clients.postgres import Connection
from ecap.clients.queries import load_queries
from ecap.config.settings.tree import Settings
from ecap.domain.commerce.orders import DECIDED, returns_stock, takes_stock
from ecap.domain.events.admission import admit_lines
from ecap.domain.events.orders import Line, OrderCancelled, OrderDenied, OrderPlaced

_SQL = load_queries(__package__)

Move = Mapping[UUID, int]


class AvailabilityPipeline(Stateless):
    """The differences are summed in the table itself."""

    name = "availability"
    topics: tuple[str, ...] = ("transactions",)

    def apply(self, state: None, record: Record) -> Move | None:
        order = record.event.payload
        if isinstance(order, OrderPlaced):
            status = DECIDED[order.decision] if order.decision else "in_review"
            return _units(order.lines, -1) if takes_stock(status) else None
        if isinstance(order, OrderDenied):
            return _units(order.lines, 1) if returns_stock(order.previous, "denied") else None
        if isinstance(order, OrderCancelled):
            return _units(order.lines, 1) if returns_stock(order.previous, "cancelled") else None
        return None

    async def write(self, conn: Connection, results: Sequence[Move]) -> None:
        moved: Counter[UUID] = Counter()
        for units in results:
            moved.update(units)
        if moved:
            await conn.execute(_SQL["move"], list(moved), list(moved.values()))


def _units(lines: Sequence[Line], sign: int) -> Move:
    admit_lines(lines)
    units: Counter[UUID] = Counter()
    for line in lines:
        units[line.product_id] += sign * line.quantity
    return units


def build(settings: Settings) -> AvailabilityPipeline:
    return AvailabilityPipeline()
