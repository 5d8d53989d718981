"""What the stream wrote equals what its events say; and when it does not, the cell is named."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.pipelines.batch.past import Past, at, event

from ecap.domain.events.envelope import Event, new_event
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
from ecap.domain.events.users import UserRegistered
from ecap.domain.values.ids import new_id
from ecap.errors import Invalid
from ecap.pipelines.batch.frame.job import Outcome
from ecap.pipelines.stream.analytics.pipeline import build

_OUTCOME: dict[Decision | None, OrderStatus] = {
    "approve": "approved",
    "review": "in_review",
    "deny": "denied",
    None: "pending",
}
_CHANGES: dict[OrderStatus, type[OrderChanged]] = {
    "approved": OrderApproved,
    "denied": OrderDenied,
    "cancelled": OrderCancelled,
}
_LATE_S = 3 * 86400

lines = st.lists(
    st.builds(
        Line,
        st.integers(0, 5).map(lambda n: UUID(int=n)),
        st.sampled_from(["books", "games", "home"]),
        # 0 is impossible: such an order is set aside.
        st.integers(0, 3),
        st.integers(0, 10_000),
    ),
    min_size=1,
    max_size=3,
)
orders = st.tuples(
    st.integers(1, 8),  # user
    st.integers(-_LATE_S, 7200),  # when
    st.sampled_from(sorted(_OUTCOME, key=str)),
    lines,
    st.lists(st.sampled_from(sorted(_CHANGES)), max_size=3),
)


def story(orders: Any, dice: random.Random) -> list[Event]:
    """Every order with its changes; those of different orders anyhow between each other."""
    waiting: list[list[Event]] = []
    for user, seconds, decision, order_lines, changes in orders:
        amount = sum(line.quantity * line.unit_price_minor for line in order_lines)
        facts: dict[str, Any] = {"order_id": new_id(), "user_id": UUID(int=user), "currency": "USD"}
        facts |= {"amount_minor": amount, "lines": tuple(order_lines)}
        card = {"card": "card", "device_id": "phone", "ip": "192.0.2.1", "decision": decision}
        events, status = [event(OrderPlaced(**facts, **card), seconds)], _OUTCOME[decision]
        for number, after in enumerate(changes):
            change = _CHANGES[after](**facts, previous=status, placed_at=at(seconds))
            events.append(event(change, seconds + 100 * number + 50))
            status = after
        waiting.append(events)
    told: list[Event] = []
    while waiting:
        events = dice.choice(waiting)
        told.append(events.pop(0))
        waiting = [rest for rest in waiting if rest]
    return told


async def equal(past: Past, **given: Any) -> Outcome:
    outcome = await past.run("revenue", **given)
    assert outcome.good, outcome.lines
    return outcome


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(orders=st.lists(orders, max_size=25), dice=st.randoms(use_true_random=False))
async def test_the_stream_equals_the_recomputation(
    past: Past, orders: Any, dice: random.Random
) -> None:
    await past.forget()
    told = story(orders, dice)
    await past.happen(told)
    # Positions and totals commit together, so they agree at any moment.
    checks = 0
    async for _ in past.applying(build(past.settings), dice=dice):
        if checks < 2 and dice.random() < 0.3:
            checks += 1
            await equal(past, slice_events=dice.randint(1, 30))
    outcome = await equal(past, slice_events=dice.randint(1, 30))
    refused = sum(
        any(line.quantity == 0 for line in one.payload.lines)  # type: ignore[attr-defined]
        for one in told
    )
    assert outcome.document["events"] == len(told) - refused
    assert outcome.document["dead_letters"] == refused
    if refused == len(told):
        return
    await _falsify(past)
    outcome = await past.run("revenue")
    assert not outcome.good
    (difference,) = outcome.document["differences"]
    assert difference["table"] == "orders_minute"
    assert difference["stream"][0] == difference["batch"][0] + 1
    assert difference["minute"] in "".join(outcome.lines)


async def _falsify(past: Past) -> None:
    await past.pool.execute(
        "UPDATE analytics.orders_minute SET orders = orders + 1 WHERE (minute, outcome) ="
        " (SELECT minute, outcome FROM analytics.orders_minute ORDER BY 1, 2 LIMIT 1)"
    )


def order(number: int, seconds: float, *, quantity: int = 1) -> Event:
    placed = OrderPlaced(
        order_id=UUID(int=number), user_id=UUID(int=number % 5), amount_minor=500,
        currency="USD", lines=(Line(UUID(int=1), "books", quantity, 500),), card="card",
        device_id="phone", ip="192.0.2.1", decision="approve",
    )  # fmt: skip
    return event(placed, seconds)


async def test_a_cell_that_only_one_of_them_has(past: Past) -> None:
    await past.happen([order(n, 60 * n) for n in range(1, 4)])
    await past.applied(build(past.settings))
    await past.pool.execute("DELETE FROM analytics.revenue_minute WHERE minute = $1", at(120))
    await past.pool.execute(
        "UPDATE analytics.revenue_minute SET category = 'games' WHERE minute = $1", at(180)
    )
    outcome = await past.run("revenue")
    found = [
        (one["minute"], one["category"], tuple(one["stream"]), tuple(one["batch"]))
        for one in outcome.document["differences"]
    ]
    assert found == [
        ("2026-03-01T12:02Z", "books", (0, 0), (1, 500)),
        ("2026-03-01T12:03Z", "books", (0, 0), (1, 500)),
        ("2026-03-01T12:03Z", "games", (1, 500), (0, 0)),
    ]
    # Only what was asked for.
    assert (await past.run("revenue", until=at(120))).good
    assert len((await past.run("revenue", since=at(180))).document["differences"]) == 2


async def test_an_event_that_should_have_been_refused(past: Past) -> None:
    await past.happen([order(1, 0), order(2, 0, quantity=0)])
    await past.applied(build(past.settings))
    assert (await past.run("revenue")).good
    await past.pool.execute("DELETE FROM stream.dead_letters")
    outcome = await past.run("revenue")
    assert not outcome.good
    assert len(outcome.document["refused"]) == 1


async def test_dead_letters_that_would_be_taken_now(past: Past) -> None:
    await past.happen([order(1, 0), order(2, 0, quantity=0)])
    await past.applied(build(past.settings))
    good = order(2, 0)
    await past.pool.execute(
        "UPDATE orders.outbox SET body = replace(convert_from(body, 'UTF8'), $1, $2)::bytea"
        " WHERE pos IN (SELECT pos FROM stream.dead_letters) AND key = $3",
        '"quantity":0',
        '"quantity":1',
        good.key,
    )
    outcome = await equal(past)
    assert outcome.document["mended"] == outcome.document["dead_letters"] == 1


async def test_what_the_outbox_has_forgotten_is_not_guessed(past: Past) -> None:
    now = 1_000_000.0
    await past.happen([order(n, now) for n in range(1, 40)])
    await past.applied(build(past.settings))
    await past.purge(below=3)
    # All orders are of March, long before what is forgotten was written: nothing is sure.
    outcome = await past.run("revenue")
    assert outcome.good
    assert outcome.document["cells"] == 0
    assert outcome.document["since"] is not None
    with pytest.raises(Invalid, match="archive="):
        await past.run("revenue", since=at(0))


async def test_events_of_other_kinds_count_for_nothing(past: Past) -> None:
    registered = UserRegistered(user_id=UUID(int=1), sealed="enc:unread")
    await past.happen([new_event(registered, key="1", producer="auth", now=at(0))])
    await past.applied(build(past.settings))
    outcome = await equal(past)
    assert outcome.document["events"] == 1
    assert outcome.document["cells"] == 0
