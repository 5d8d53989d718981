"""The life of an order, as a table of what may follow what."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecap.domain.commerce.orders import (
    DECIDED,
    NEXT,
    Placed,
    amount_minor,
    card_fingerprint,
    changed,
    may_become,
    returns_stock,
    takes_stock,
)
from ecap.domain.events.orders import Line, OrderStatus
from ecap.domain.values.ids import new_id

STATUSES: tuple[OrderStatus, ...] = get_args(OrderStatus)
LINES = (Line(new_id(), "home", 3, 333), Line(new_id(), "books", 1, 1))
ORDER = Placed(
    order_id=new_id(),
    user_id=new_id(),
    amount_minor=1000,
    currency="USD",
    lines=LINES,
    placed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_every_status_has_its_place() -> None:
    assert set(NEXT) == set(STATUSES)
    assert NEXT["denied"] == NEXT["cancelled"] == frozenset()
    assert set(DECIDED.values()) == NEXT["pending"]
    allowed = {(a, b) for a, b in itertools.product(STATUSES, STATUSES) if may_become(a, b)}
    assert allowed == {
        ("pending", "approved"),
        ("pending", "in_review"),
        ("pending", "denied"),
        ("in_review", "approved"),
        ("in_review", "denied"),
        ("in_review", "cancelled"),
        ("approved", "cancelled"),
    }


def test_units_are_held_exactly_while_they_may_be_delivered() -> None:
    """Whatever way an order goes, what it took is returned once or still held."""

    def walk(status: OrderStatus, held: int) -> None:
        assert held == (1 if takes_stock(status) else 0)
        for after in NEXT[status]:
            taken = takes_stock(after) and not takes_stock(status)
            walk(after, held + taken - returns_stock(status, after))

    walk("pending", 0)


@pytest.mark.parametrize(("previous", "status"), list(itertools.product(STATUSES, STATUSES)))
def test_a_change_tells_all_or_is_refused(previous: OrderStatus, status: OrderStatus) -> None:
    if not may_become(previous, status) or status == "in_review":
        with pytest.raises(ValueError, match=f"{previous} does not become {status}"):
            changed(ORDER, previous, status, reason="", actor="a")
        return
    event = changed(ORDER, previous, status, reason="why", actor="who")
    assert type(event).__name__ == "Order" + status.capitalize()
    assert (event.previous, event.reason, event.actor) == (previous, "why", "who")
    assert (event.amount_minor, event.lines) == (1000, LINES)
    assert event.placed_at == ORDER.placed_at


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**9)), max_size=50))
def test_an_order_is_worth_its_lines(lines: list[tuple[int, int]]) -> None:
    found = tuple(Line(new_id(), "home", units, price) for units, price in lines)
    assert amount_minor(found) == sum(units * price for units, price in lines)


def test_a_fingerprint_tells_cards_apart_and_hides_them() -> None:
    one, other = card_fingerprint("tok_visa_1"), card_fingerprint("tok_visa_2")
    assert one != other
    assert one == card_fingerprint("tok_visa_1")
    assert "visa" not in one
