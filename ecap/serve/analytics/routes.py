from __future__ import annotations

import re

from ecap.errors import Invalid, Overloaded
from ecap.serve.analytics.models import (
    Accepted,
    BucketQuery,
    ClientEvents,
    OrdersOverTime,
    RangeQuery,
    Revenue,
    RevenueQuery,
    Summary,
    TopProducts,
    TopQuery,
)
from ecap.serve.analytics.service import Room
from ecap.serve.endpoints.routing import Api, Call, Events

api = Api("analytics", prefix="/api/v1/analytics", title="ECAP analytics")
_LAST_EVENT_ID = {"Last-Event-ID": "the id of the last event you saw: go on after it"}
_REVISION_MAX = 2**63 - 1


@api.get("/revenue", scope="analytics:read")
async def get_revenue(call: Call[Room], query: RevenueQuery) -> Revenue:
    """Get revenue over time by category and outcome.

    An order's money stands in the minute it was placed, under the outcome it has now.
    """
    return await call.state.store.revenue(query, query.span(call.now))


@api.get("/orders", scope="analytics:read")
async def get_orders(call: Call[Room], query: BucketQuery) -> OrdersOverTime:
    """Get orders over time by outcome."""
    return await call.state.store.orders(query, query.span(call.now))


@api.get("/products/top", scope="analytics:read")
async def get_top_products(call: Call[Room], query: TopQuery) -> TopProducts:
    """Get the products that sold best."""
    return await call.state.store.top_products(query, query.span(call.now))


@api.get("/summary", scope="analytics:read")
async def get_summary(call: Call[Room], query: RangeQuery) -> Summary:
    """Get the totals of a range."""
    return await call.state.store.summary(query.span(call.now))


@api.post("/events", status=202, scope="events:write")
async def report_events(call: Call[Room], body: ClientEvents) -> Accepted:
    """Report what a shopper looked at or searched for.

    Accepted is what is stored; it shows in the figures moments later.
    """
    accepted = await call.state.store.accept(body, user_id=call.user_id, now=call.now)
    return Accepted(accepted=accepted)


@api.get(
    "/live",
    scope="analytics:read",
    media="text/event-stream",
    headers=_LAST_EVENT_ID,
    errors=(Invalid, Overloaded),
)
async def listen(call: Call[Room]) -> Events:
    """Listen to changes of revenue and orders by minute, as server-sent events.

    `revenue` events carry minute, category, outcome, units and amount, `orders` events
    minute, outcome, orders and amount: the whole new value each time. Without
    Last-Event-ID the last 15 minutes come first. The stream ends after the life of an
    access token; reconnect with a fresh one.
    """
    last = _revision(call.header("last-event-id"))
    call.state.live.admit()
    return Events(call.state.live.stream(last, now=call.now))


def _revision(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not (re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= _REVISION_MAX):
        raise Invalid("not an id of this stream", field="Last-Event-ID")
    return int(text)
