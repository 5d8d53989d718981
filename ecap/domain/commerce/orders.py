"""An order's life: which status may follow which, what it does to the stock, what it tells.

pending -> approved | in_review | denied     decided when it is placed
in_review -> approved | denied               an analyst
approved | in_review -> cancelled            the customer, or staff for them
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from ecap.domain.events.orders import (
    Decision,
    Line,
    OrderApproved,
    OrderCancelled,
    OrderChanged,
    OrderDenied,
    OrderStatus,
)

NEXT: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    "pending": frozenset({"approved", "in_review", "denied"}),
    "in_review": frozenset({"approved", "denied", "cancelled"}),
    "approved": frozenset({"cancelled"}),
    "denied": frozenset(),
    "cancelled": frozenset(),
}
DECIDED: Mapping[Decision, OrderStatus] = {
    "approve": "approved",
    "review": "in_review",
    "deny": "denied",
}
_EVENTS: Mapping[OrderStatus, type[OrderChanged]] = {
    "approved": OrderApproved,
    "denied": OrderDenied,
    "cancelled": OrderCancelled,
}
# The units of an order are set aside for it exactly while it has one of these.
_HOLDS_STOCK: frozenset[OrderStatus] = frozenset({"approved", "in_review"})


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What every later event repeats about an order."""

    order_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    lines: tuple[Line, ...]
    placed_at: datetime


def may_become(previous: OrderStatus, status: OrderStatus) -> bool:
    return status in NEXT[previous]


def takes_stock(status: OrderStatus) -> bool:
    return status in _HOLDS_STOCK


def returns_stock(previous: OrderStatus, status: OrderStatus) -> bool:
    return previous in _HOLDS_STOCK and status not in _HOLDS_STOCK


def changed(
    order: Placed, previous: OrderStatus, status: OrderStatus, *, reason: str, actor: str
) -> OrderChanged:
    """The event of a change. Raises ValueError for one that may not happen."""
    if not may_become(previous, status) or status not in _EVENTS:
        raise ValueError(f"{previous} does not become {status}")
    return _EVENTS[status](
        order_id=order.order_id,
        user_id=order.user_id,
        previous=previous,
        amount_minor=order.amount_minor,
        currency=order.currency,
        lines=order.lines,
        placed_at=order.placed_at,
        reason=reason,
        actor=actor,
    )


def amount_minor(lines: tuple[Line, ...]) -> int:
    return sum(line.quantity * line.unit_price_minor for line in lines)


def card_fingerprint(token: str) -> str:
    """Tells cards apart in events and rules without carrying what can be charged."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]
