"""Other thresholds over the same history: what would have been decided, and why."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from integration.pipelines.batch.past import Past, event

from ecap.domain.events.orders import Line, OrderCancelled, OrderDenied, OrderPlaced
from ecap.errors import Invalid
from ecap.pipelines.batch.jobs import JOBS, parse
from ecap.pipelines.stream.fraud.pipeline import build


def order(number: int, *, user: int = 1, amount: int = 5_000, **more: Any) -> OrderPlaced:
    facts: dict[str, Any] = {
        "order_id": UUID(int=number),
        "user_id": UUID(int=user),
        "amount_minor": amount,
        "currency": "USD",
        "lines": (Line(UUID(int=1), "books", 1, amount),),
        "card": "card",
        "device_id": "phone",
        "ip": "192.0.2.1",
    }
    return OrderPlaced(**(facts | more))


def denied(order: OrderPlaced, kind: Any = OrderDenied) -> Any:
    return kind(
        order_id=order.order_id, user_id=order.user_id, previous="in_review", currency="USD",
        amount_minor=order.amount_minor, lines=order.lines, placed_at=event(order, 0).occurred_at,
    )  # fmt: skip


async def test_decisions_move_with_the_thresholds(past: Past) -> None:
    """User 1 orders often, user 2 for much, user 3 as ever."""
    approved: dict[str, Any] = {"decision": "approve", "scored": True}
    often = [order(10 + n, user=1, **approved) for n in range(4)]
    much = order(20, user=2, amount=250_000, decision="review", scored=True)
    usual = order(30, user=3, **approved)
    await past.happen(
        [*(event(one, n) for n, one in enumerate(often)), event(much, 5), event(usual, 6)]
    )
    await past.happen([event(denied(much), 60), event(denied(often[3], OrderCancelled), 61)])
    await past.applied(build(past.settings))
    same = await past.run("fraud-rescore")
    assert same.document["moved"] == {"approve approve": 5, "review review": 1}
    assert same.document["recorded"] == same.document["moved"]
    assert same.document["fired"] == {"amount_high configured": 1, "amount_high given": 1}
    assert same.document["labels"] == {"review denied": 1, "approve cancelled": 1}

    strict = await past.run("fraud-rescore", velocity_count=3, amount_review="3000.00")
    assert strict.document["moved"] == {
        "approve approve": 3,
        "approve review": 2,
        "review approve": 1,
    }
    assert strict.document["moved_minor"]["review approve"] == 250_000
    assert strict.document["fired"] == {"amount_high configured": 1, "velocity given": 2}
    assert strict.document["labels"] == {"approve denied": 1, "review cancelled": 1}
    assert strict.document["examples"]["review approve"] == [str(much.order_id)]
    assert sorted(strict.document["examples"]["approve review"]) == sorted(
        str(one.order_id) for one in often[2:]
    )
    text = "\n".join(strict.lines)
    assert "fraud.velocity_count: 6 -> 3" in text
    assert "2500.00" in text


async def test_it_decides_as_the_shard_decides_unasked(past: Past) -> None:
    """Orders that nobody scored in time get from the shard what the job gives them."""
    events = [event(order(n, user=n % 3, amount=n * 9_000), n * 7) for n in range(1, 60)]
    await past.happen(events)
    await past.applied(build(past.settings))
    rows = await past.pool.fetch("SELECT decision, count(*) FROM fraud.decisions GROUP BY 1")
    recorded = {f"{row[0]} {row[0]}": row[1] for row in rows}
    outcome = await past.run("fraud-rescore")
    assert len(recorded) > 1
    assert outcome.document["recorded"] == recorded


async def test_what_cannot_be_configured_cannot_be_tried(past: Past) -> None:
    with pytest.raises(Invalid, match="deny_score"):
        parse(JOBS["fraud-rescore"], ["deny_score=1000"])
    with pytest.raises(Invalid, match="velocity_window_s"):
        parse(JOBS["fraud-rescore"], ["velocity=3"])
