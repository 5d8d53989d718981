from __future__ import annotations

from typing import Annotated
from uuid import UUID

from ecap.errors import Conflict, Forbidden
from ecap.serve.endpoints.idempotency import IDEMPOTENCY_KEY, InFlight, attempt
from ecap.serve.endpoints.pages import Page
from ecap.serve.endpoints.preconditions import IF_NONE_MATCH
from ecap.serve.endpoints.routing import Api, Call, Raw, Reply
from ecap.serve.orders.models import (
    Cancellation,
    NewOrder,
    Order,
    OrderQuery,
    OrderSummary,
    Review,
)
from ecap.serve.orders.placement import Shop, place

api = Api("orders", prefix="/api/v1/orders", title="ECAP orders")
READ_ALL = "orders:read-all"
WRITE_ALL = "orders:write-all"


@api.post(
    "",
    status=201,
    scope="orders:write",
    errors=(Conflict, InFlight),
    headers=IDEMPOTENCY_KEY,
)
async def place_order(call: Call[Shop], body: NewOrder) -> Annotated[Raw, Order]:
    """Place an order.

    Its `status` says what became of it: `approved`, `in_review` or `denied`. 409 when
    the stock does not suffice (nothing is taken), when the total is not the expected
    one, and, with Retry-After, while the same request is still under way. 503 while
    `flags.checkout` is off for the caller.
    """
    return await place(call.state, attempt(call, body), body, address=call.address, now=call.now)


@api.get("", scope="orders:read")
async def list_orders(call: Call[Shop], query: OrderQuery) -> Page[OrderSummary]:
    """List orders, newest first.

    One's own; with the scope orders:read-all also those of one user or of all.
    """
    if not (query.all or query.user_id):
        return await call.state.store.page(query, owner=call.user_id)
    if not call.principal.has(READ_ALL):
        raise Forbidden(f"this needs the scope {READ_ALL}", scope=READ_ALL)
    return await call.state.store.page(query, owner=query.user_id)


@api.get("/{order_id}", scope="orders:read", headers=IF_NONE_MATCH)
async def get_order(call: Call[Shop], order_id: UUID) -> Reply[Order]:
    """Get an order with its lines and history."""
    order = await call.state.store.order(order_id, owner=_owner(call, READ_ALL))
    return Reply(order, etag=str(order.version))


@api.post("/{order_id}/cancel", scope="orders:write", errors=(Conflict,))
async def cancel_order(call: Call[Shop], order_id: UUID, body: Cancellation) -> Reply[Order]:
    """Cancel an order that is approved or in review; its units go back into stock."""
    order = await call.state.store.change(
        order_id,
        "cancelled",
        owner=_owner(call, WRITE_ALL),
        actor=call.principal.subject,
        reason=body.reason,
        now=call.now,
    )
    return Reply(order, etag=str(order.version))


@api.post("/{order_id}/review", scope="fraud:review", errors=(Conflict,))
async def review_order(call: Call[Shop], order_id: UUID, body: Review) -> Reply[Order]:
    """Approve or deny an order that is in review."""
    order = await call.state.store.change(
        order_id,
        "approved" if body.verdict == "approve" else "denied",
        owner=None,
        actor=call.principal.subject,
        reason=body.reason,
        now=call.now,
    )
    return Reply(order, etag=str(order.version))


def _owner(call: Call[Shop], scope: str) -> UUID | None:
    """Whose orders the caller may touch: their own, or with the scope anybody's."""
    return None if call.principal.has(scope) else call.user_id
