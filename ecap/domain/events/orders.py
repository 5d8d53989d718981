"""Orders: placed with a decision, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec

from ecap.domain.events.payload import Payload

Decision = Literal["approve", "review", "deny"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
OrderStatus = Literal["pending", "approved", "in_review", "denied", "cancelled"]


class Line(msgspec.Struct, frozen=True, gc=False):
    product_id: UUID
    category: str
    quantity: int
    unit_price_minor: int


class OrderPlaced(Payload, frozen=True, kw_only=True):
    """`decision` is the one the order was placed with; `scored` is false when the
    fraud shard could not be asked in time."""

    order_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    lines: tuple[Line, ...]
    card: str
    device_id: str
    ip: str
    latitude: float | None = None
    longitude: float | None = None
    decision: Decision | None = None
    reasons: tuple[str, ...] = ()
    score: int = 0
    scored: bool = False


class _OrderChanged(Payload, frozen=True, kw_only=True):
    order_id: UUID
    user_id: UUID
    previous: OrderStatus
    amount_minor: int
    currency: str
    lines: tuple[Line, ...]
    placed_at: datetime
    reason: str = ""
    actor: str = ""


class OrderApproved(_OrderChanged, frozen=True, kw_only=True):
    pass


class OrderDenied(_OrderChanged, frozen=True, kw_only=True):
    pass


class OrderCancelled(_OrderChanged, frozen=True, kw_only=True):
    pass


OrderChanged = OrderApproved | OrderDenied | OrderCancelled
