"""What a customer is answered who places an order, and what is kept of it for a repeat."""

from __future__ import annotations

from ecap.serve.endpoints.routing import Raw
from ecap.serve.orders.models import Order

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
