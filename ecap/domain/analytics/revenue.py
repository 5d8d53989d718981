"""Orders and money by minute, category and outcome, in event time.

An order's money is in exactly one outcome at a time, always in the minute it was
placed; a change of status takes it from one outcome and adds it to another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from ecap.domain.events.orders import (
    Decision,
    Line,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderDenied,
    OrderPlaced,
    OrderStatus,
)
from ecap.domain.values.windows import SECOND, micros

Outcome = Literal["approved", "in_review", "denied", "cancelled"]

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_DECIDED: dict[Decision | None, Outcome] = {
    "approve": "approved",
    "review": "in_review",
    "deny": "denied",
    None: "in_review",  # placed without a decision: nothing but a review may follow
}
_WAS: dict[OrderStatus, Outcome] = {
    "pending": "in_review",
    "in_review": "in_review",
    "approved": "approved",
    "denied": "denied",
    "cancelled": "cancelled",
}
_BECAME: dict[type[OrderChanged], Outcome] = {
    OrderApproved: "approved",
    OrderDenied: "denied",
    OrderCancelled: "cancelled",
}
# Money that came in, or will if the review says so.
_SOLD = frozenset({"approved", "in_review"})


def outcome_of(order: OrderChanged) -> Outcome:
    return _BECAME[type(order)]


class Totals:
    """Changes to add to what is stored. Keys hold the start of the minute or hour in
    microseconds; values are [count, amount in minor units]."""

    def __init__(self) -> None:
        self.revenue: dict[tuple[int, str, Outcome], list[int]] = defaultdict(_pair)
        self.orders: dict[tuple[int, Outcome], list[int]] = defaultdict(_pair)
        self.sold: dict[tuple[int, UUID], list[int]] = defaultdict(_pair)

    def placed(self, order: OrderPlaced, at: int) -> None:
        """`at` is when it was placed, in microseconds."""
        outcome = _DECIDED[order.decision]
        self._add(at, outcome, order.lines, order.amount_minor, 1)

    def changed(self, order: OrderChanged) -> None:
        before, after = _WAS[order.previous], outcome_of(order)
        at = micros(order.placed_at)
        self._add(at, before, order.lines, order.amount_minor, -1)
        self._add(at, after, order.lines, order.amount_minor, 1)

    def _add(
        self, at: int, outcome: Outcome, lines: Iterable[Line], amount: int, sign: int
    ) -> None:
        minute, hour = at - at % MINUTE, at - at % HOUR
        orders = self.orders[minute, outcome]
        orders[0] += sign
        orders[1] += sign * amount
        for line in lines:
            units = sign * line.quantity
            value = units * line.unit_price_minor
            cell = self.revenue[minute, line.category, outcome]
            cell[0] += units
            cell[1] += value
            if outcome in _SOLD:
                product = self.sold[hour, line.product_id]
                product[0] += units
                product[1] += value


def _pair() -> list[int]:
    return [0, 0]
