"""Placing an order: price it, have it judged, write it. In that order, because nothing
is locked while the shard is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ecap import logs, metrics
from ecap.config.settings.flags import Feature
from ecap.config.settings.tree import Settings
from ecap.domain.fraud.rules import UNAVAILABLE
from ecap.domain.fraud.scoring import ScoreQuestion, Verdict
from ecap.domain.values.ids import order_id
from ecap.errors import Overloaded
from ecap.serve.endpoints.idempotency import Attempt, replayed
from ecap.serve.endpoints.routing import Raw
from ecap.serve.orders.draft import Draft, Items, priced, within
from ecap.serve.orders.kept import Answers
from ecap.serve.orders.models import NewOrder
from ecap.serve.orders.store import Orders
from ecap.serve.replica.scoring import Decider

CHECKOUT = Feature("checkout", default=True)
_CLOSED_S = 30.0
_log = logs.get("ecap.orders")


@dataclass(frozen=True)
class Shop:
    """What an orders replica holds."""

    store: Orders
    answers: Answers
    decider: Decider
    settings: Callable[[], Settings]
    items: Callable[[Iterable[UUID]], Awaitable[Items]]
    """What is known of products, as it is sold."""


async def place(
    shop: Shop, attempt: Attempt, wanted: NewOrder, *, address: str, now: datetime
) -> Raw:
    """The answer, now or as it was given before.

    Raises Invalid, Conflict or InFlight, and Overloaded while no new orders are taken.
    """
    # Before all else: who repeats a request gets its answer, even if the shop has closed or prices
    # have changed since.
    known = await shop.answers.given(attempt)
    if known is not None:
        return replayed(known)
    settings = shop.settings()
    if not CHECKOUT.on(settings.flags, str(attempt.user_id)):
        raise Overloaded("no new orders are taken at the moment", retry_after_s=_CLOSED_S)
    within(wanted, settings.orders)
    currency = settings.orders.currency
    items = await shop.items(line.product_id for line in wanted.lines)
    draft = Draft(
        # Derived, so that a repeat asks the shard about the same transaction, which counts it once.
        id=order_id(attempt.user_id, attempt.key),
        user_id=attempt.user_id,
        address=address,
        placed_at=now,
        wanted=wanted,
        lines=priced(wanted, items, currency=currency),
        currency=currency,
    )
    verdict, scored = await _judged(shop, draft.question())
    answer, first = await shop.store.place(attempt, draft, verdict, scored=scored)
    if not first:
        return replayed(answer)
    metrics.orders_placed.labels(draft.order(verdict).status).inc()
    return answer


async def _judged(shop: Shop, question: ScoreQuestion) -> tuple[Verdict, bool]:
    """The shard's verdict; without one in time a review, never an approval."""
    try:
        async with asyncio.timeout(shop.settings().orders.decision_timeout_s):
            found = await shop.decider.decide(question)
    except Exception as exc:  # noqa: BLE001  a review is right whatever ails the shard
        # Not when the request itself is out of time: that cancels it, and no order is placed.
        _log.warning("order goes to review: no decision", extra={"error": repr(exc)})
        return Verdict("review", 0, (UNAVAILABLE,)), False
    return Verdict(found.decision, found.score, found.reasons), True
