"""Decisions and alerts as PostgreSQL holds them."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from integration.pipelines.stream.receivers import events_of
from integration.pipelines.stream.steps import START, at, changed, placed, record, run

from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.alerts import FraudAlert
from ecap.domain.events.codec import decode
from ecap.domain.events.orders import OrderApproved, OrderCancelled
from ecap.pipelines.stream.fraud.pipeline import build


async def test_each_order_has_its_decision_and_suspicious_ones_an_alert(
    pool: Pool, settings: Settings
) -> None:
    pipeline = build(settings)
    state = pipeline.new_state("transactions", 0)
    orders = [
        placed(1, amount=1234, decision="approve", scored=True),
        placed(2, user=2, amount=1_000_001, decision="review", reasons=("fraud_unavailable",)),
        placed(3, user=3, amount=9_999_999_999_99, decision=None),
    ]
    await run(pool, pipeline, state, [record(order, i) for i, order in enumerate(orders)])

    rows = await pool.fetch("SELECT * FROM fraud.decisions ORDER BY occurred_at")
    assert [
        (r["decision"], r["score"], r["reasons"], r["amount"], r["scored_live"]) for r in rows
    ] == [
        ("approve", 0, [], Decimal("12.34"), True),
        ("review", 100, ["fraud_unavailable", "amount_extreme"], Decimal("10000.01"), False),
        ("deny", 100, ["amount_extreme"], Decimal("9999999999.99"), False),
    ]
    assert rows[0]["occurred_at"] == START
    alerts = await pool.fetch("SELECT * FROM fraud.alerts ORDER BY occurred_at")
    assert [(a["transaction_id"], a["status"]) for a in alerts] == [
        (UUID(int=2), "open"),
        (UUID(int=3), "open"),
    ]
    events = [decode(body) for body in await events_of(pool, "fraud")]
    assert [event.id for event in events] == [alert["id"] for alert in alerts]
    payloads = [event.payload for event in events if isinstance(event.payload, FraudAlert)]
    assert len(payloads) == len(events)
    assert [payload.decision for payload in payloads] == ["review", "deny"]


async def test_an_order_under_a_new_position_does_not_block_the_stream(
    pool: Pool, settings: Settings
) -> None:
    """Long after the state has forgotten its id: COPY meets the primary key."""
    pipeline = build(settings)
    first = [record(placed(i, amount=3_000_00, decision=None), i) for i in range(3)]
    await run(pool, pipeline, pipeline.new_state("transactions", 0), first)
    again = [record(placed(i, amount=3_000_00, decision=None), i) for i in (1, 2, 7)]
    await run(pool, pipeline, pipeline.new_state("transactions", 0), again)
    for table in ("decisions", "alerts", "outbox"):
        assert await pool.fetchval(f"SELECT count(*) FROM fraud.{table}") == 4
    reasons = await pool.fetchval(
        "SELECT reasons FROM fraud.decisions WHERE transaction_id = $1", UUID(int=7)
    )
    assert reasons == ["amount_high"]


async def test_what_became_of_an_order_labels_it_and_closes_its_alert(
    pool: Pool, settings: Settings
) -> None:
    pipeline = build(settings)
    state = pipeline.new_state("transactions", 0)
    suspicious = [placed(i, amount=3_000_00, decision="review") for i in range(3)]
    batch = [record(order, i) for i, order in enumerate(suspicious)]
    approved = changed(OrderApproved, suspicious[0], previous="in_review")
    cancelled = changed(OrderCancelled, suspicious[0], previous="approved")
    batch += [record(approved, 10), record(cancelled, 20)]
    await run(pool, pipeline, state, batch)
    await run(
        pool,
        pipeline,
        state,
        [record(changed(OrderApproved, suspicious[1], previous="in_review"), 30)],
    )
    rows = await pool.fetch(
        """SELECT outcome, outcome_at, status, status_by FROM fraud.decisions
           JOIN fraud.alerts USING (transaction_id) ORDER BY transaction_id"""
    )
    assert [tuple(row) for row in rows] == [
        ("cancelled", at(20), "closed", "order"),
        ("approved", at(30), "closed", "order"),
        (None, None, "open", None),
    ]
