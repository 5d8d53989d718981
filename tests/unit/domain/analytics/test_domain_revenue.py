"""Additions of the stream equal adding up the orders as they are in the end."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.analytics.revenue import HOUR, MINUTE, Totals
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
from ecap.domain.values.windows import moment

_Timed = tuple[int, OrderPlaced | OrderChanged]
_Story = tuple[list[_Timed], dict[UUID, tuple[int, OrderPlaced, OrderStatus]]]
_Cells = defaultdict[tuple[object, ...], list[int]]

_BECOMES: dict[OrderStatus, type[OrderChanged]] = {
    "approved": OrderApproved,
    "denied": OrderDenied,
    "cancelled": OrderCancelled,
}
_NEXT: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    "approved": ("cancelled",),
    "in_review": ("approved", "denied", "cancelled"),
    "denied": (),
    "cancelled": (),
}
_DECIDED: dict[Decision, OrderStatus] = {
    "approve": "approved",
    "review": "in_review",
    "deny": "denied",
}

_line = st.builds(
    Line,
    st.integers(1, 4).map(lambda i: UUID(int=i)),
    st.sampled_from(["books", "games"]),
    st.integers(1, 5),
    st.integers(0, 99_999),
)


@st.composite
def _stories(draw: st.DrawFn) -> _Story:
    """The events of some orders, and each order with its last status."""
    events: list[_Timed] = []
    final: dict[UUID, tuple[int, OrderPlaced, OrderStatus]] = {}
    for number in range(draw(st.integers(0, 8))):
        order, at = UUID(int=number), draw(st.integers(0, 3 * HOUR))
        lines = tuple(draw(st.lists(_line, min_size=1, max_size=3)))
        amount = sum(line.quantity * line.unit_price_minor for line in lines)
        decision = draw(st.sampled_from(sorted(_DECIDED)))
        placed = OrderPlaced(
            order_id=order,
            user_id=UUID(int=1),
            amount_minor=amount,
            currency="USD",
            lines=lines,
            card="c",
            device_id="d",
            ip="",
            decision=decision,
        )
        events.append((at, placed))
        status = _DECIDED[decision]
        while bool(_NEXT[status]) and draw(st.booleans()):
            after = draw(st.sampled_from(_NEXT[status]))
            events.append(
                (
                    at + draw(st.integers(0, 5 * HOUR)),
                    _BECOMES[after](
                        order_id=order,
                        user_id=UUID(int=1),
                        previous=status,
                        amount_minor=amount,
                        currency="USD",
                        lines=lines,
                        placed_at=moment(at),
                    ),
                )
            )
            status = after
        final[order] = (at, placed, status)
    return events, final


def _batches(events: list[_Timed], cuts: list[int]) -> list[list[_Timed]]:
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    return [events[a:b] for a, b in itertools.pairwise(edges)]


@given(_stories(), st.lists(st.integers(0, 100), max_size=4), st.randoms(use_true_random=False))
def test_the_stream_equals_a_batch_over_the_final_orders(
    story: _Story, cuts: list[int], random: Random
) -> None:
    events, final = story
    names = ("revenue", "orders", "sold")
    stored: dict[str, _Cells] = {name: defaultdict(lambda: [0, 0]) for name in names}
    # Additions commute: whatever the order and the batches, the result is the same.
    random.shuffle(events)
    for batch in _batches(events, cuts):
        totals = Totals()
        for at, event in batch:
            if isinstance(event, OrderPlaced):
                totals.placed(event, at)
            else:
                totals.changed(event)
        for name, cells in stored.items():
            for key, (count, amount) in getattr(totals, name).items():
                cells[key][0] += count
                cells[key][1] += amount

    expected: dict[str, _Cells] = {name: defaultdict(lambda: [0, 0]) for name in stored}
    for at, order, status in final.values():
        minute, hour = at // MINUTE * MINUTE, at // HOUR * HOUR
        expected["orders"][minute, status][0] += 1
        expected["orders"][minute, status][1] += order.amount_minor
        for line in order.lines:
            value = line.quantity * line.unit_price_minor
            touched = [expected["revenue"][minute, line.category, status]]
            if status in ("approved", "in_review"):
                touched.append(expected["sold"][hour, line.product_id])
            for cell in touched:
                cell[0] += line.quantity
                cell[1] += value
    for name, cells in stored.items():
        assert {k: v for k, v in cells.items() if any(v)} == {
            k: v for k, v in expected[name].items() if any(v)
        }
    money = sum(order.amount_minor for _, order, _ in final.values())
    assert sum(amount for _, amount in stored["revenue"].values()) == money
    assert sum(amount for _, amount in stored["orders"].values()) == money


def test_a_change_moves_money_in_the_minute_of_the_order() -> None:
    line = Line(UUID(int=1), "books", 2, 1050)
    cancelled = OrderCancelled(
        order_id=UUID(int=5),
        user_id=UUID(int=6),
        previous="approved",
        amount_minor=2100,
        currency="USD",
        lines=(line,),
        placed_at=moment(MINUTE + 5) + timedelta(seconds=3),
    )
    totals = Totals()
    totals.changed(cancelled)
    assert dict(totals.revenue) == {
        (MINUTE, "books", "approved"): [-2, -2100],
        (MINUTE, "books", "cancelled"): [2, 2100],
    }
