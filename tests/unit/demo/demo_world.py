"""A shelf, the events of what is bought from it, and books that agree with each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ecap.demo.books.books import Analytics, Entry, Notice, Position, Slot
from ecap.demo.books.reconciliation import Evidence
from ecap.demo.books.topic import Reading
from ecap.demo.shoppers.ledger import Accepted, Ledger
from ecap.demo.shoppers.people import PLACES, Person
from ecap.demo.shoppers.shelf import Goods, Shelf
from ecap.domain.analytics.revenue import Totals
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.orders import Decision, Line, OrderCancelled, OrderPlaced
from ecap.domain.values.windows import micros, moment

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KINDS = {"approve": "order_approved", "review": "order_placed", "deny": "order_denied"}
OUTCOMES: dict[Decision, Any] = {"approve": "approved", "review": "in_review", "deny": "denied"}


def shelf() -> Shelf:
    """Forty products of four categories, from 4.99 to 399.99."""
    return Shelf(
        [
            Goods(UUID(int=i + 1), f"Thing {i}", f"category-{i % 4}", 4_99 + i * 10_00 + (i % 7))
            for i in range(40)
        ]
    )


def somebody(number: int = 1, kind: Any = "honest") -> Person:
    return Person(number, "run", kind, "Ada Berg", PLACES[0])


class World:
    """Every stage of a few orders, all in agreement until a test breaks one of them."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.events: list[Event] = []
        self._before = Totals()

    def order(
        self,
        number: int,
        *,
        user: int = 1,
        amount: int = 20_00,
        decision: Decision = "approve",
        seconds: float = 0.0,
        ours: bool = True,
    ) -> OrderPlaced:
        lines = (
            Line(UUID(int=7), "books", 1, amount - 5_00),
            Line(UUID(int=8), "garden", 2, 2_50),
        )
        placed = OrderPlaced(
            order_id=UUID(int=number),
            user_id=UUID(int=user),
            amount_minor=amount,
            currency="USD",
            lines=lines,
            card="card",
            device_id="phone",
            ip="198.18.0.1",
            decision=decision,
        )
        self._happen(placed, seconds)
        if ours:
            self.ledger.users[placed.user_id] = somebody(user)
            by_category = {"books": (1, amount - 5_00), "garden": (2, 5_00)}
            self.ledger.accept(
                f"key-{number}",
                Accepted(placed.order_id, amount, decision, by_category),
                person=somebody(user),
                planted=False,
                now=seconds,
            )
        return placed

    def cancel(self, placed: OrderPlaced, *, seconds: float = 30.0, ours: bool = True) -> None:
        self._happen(
            OrderCancelled(
                order_id=placed.order_id,
                user_id=placed.user_id,
                previous=OUTCOMES[placed.decision or "review"],
                amount_minor=placed.amount_minor,
                currency="USD",
                lines=placed.lines,
                placed_at=START,
            ),
            seconds,
        )
        if ours:
            self.ledger.cancelled.add(placed.order_id)

    def _happen(self, payload: OrderPlaced | OrderCancelled, seconds: float) -> None:
        now = START + timedelta(seconds=seconds)
        self.events.append(new_event(payload, key="key", producer="tests", now=now))

    def evidence(self) -> Evidence:
        mine = [e for e in self.events if e.payload.user_id in self.ledger.users]  # type: ignore[attr-defined]
        placed = [e for e in mine if isinstance(e.payload, OrderPlaced)]
        decided = [
            Entry(e.payload.order_id, e.payload.amount_minor, str(e.payload.decision))
            for e in placed
            if isinstance(e.payload, OrderPlaced)
        ]
        reading = Reading({Slot(0, 100 + i): e for i, e in enumerate(self.events)})
        return Evidence(
            orders=decided,
            categories=self.ledger.by_category,
            reading=reading,
            decisions=decided,
            unscored=frozenset(),
            alerts=[entry for entry in decided if entry.mark != "approve"],
            notices=[
                Notice(e.id, replace(entry, mark=KINDS[entry.mark]), "delivered")
                for e, entry in zip(placed, decided, strict=True)
            ],
            profiles=frozenset(self.ledger.users),
            before=analytics([], next_pos=100),
            after=analytics(self.events, next_pos=100 + len(self.events)),
        )


def analytics(events: list[Event], *, next_pos: int) -> Analytics:
    totals = Totals()
    for event in events:
        if isinstance(event.payload, OrderPlaced):
            totals.placed(event.payload, micros(event.occurred_at))
        elif isinstance(event.payload, OrderCancelled):
            totals.changed(event.payload)
    # What was there before the run: it has to cancel out.
    totals.orders[micros(START), "approved"][0] += 1000
    totals.orders[micros(START), "approved"][1] += 99_999
    return Analytics(
        START,
        {(moment(m), outcome): (n, a) for (m, outcome), (n, a) in totals.orders.items()},
        {(moment(m), c, outcome): (n, a) for (m, c, outcome), (n, a) in totals.revenue.items()},
        {0: Position(next_pos, 0)},
    )
