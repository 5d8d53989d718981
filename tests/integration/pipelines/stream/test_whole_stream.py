"""From the outboxes through relay, broker and shard: every step, exactly once, to the cent."""

from __future__ import annotations

import random
from decimal import Decimal
from uuid import UUID

from integration.pipelines.stream.receivers import until
from integration.pipelines.stream.steps import START, at, placed, registered
from stream_servers import World

from ecap.actors.relay.relay import OutboxRelay
from ecap.actors.stream.shard import Shard
from ecap.clients import outbox
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import OrderCancelled
from ecap.domain.values.ids import new_id
from ecap.pipelines.stream.analytics import pipeline as analytics
from ecap.pipelines.stream.fraud import pipeline as fraud
from ecap.pipelines.stream.notifications import pipeline as notifications
from ecap.pipelines.stream.users import pipeline as users

ORDERS = 300
_ARRIVES = {
    "SELECT count(*) FROM fraud.decisions": ORDERS,
    "SELECT count(*) FROM notifications.deliveries WHERE kind <> 'order_cancelled'": ORDERS,
    "SELECT sum(orders)::int FROM analytics.orders_minute": ORDERS,
    "SELECT sum(orders)::int FROM analytics.orders_minute WHERE outcome = 'cancelled'": ORDERS
    // 10,
    "SELECT count(*) FROM fraud.decisions WHERE outcome = 'cancelled'": ORDERS // 10,
}


async def test_every_order_arrives_everywhere_once(world: World) -> None:
    pool, settings = world.pool, world.settings()
    dice = random.Random(3)
    customers = [new_id() for _ in range(20)]
    amount = await _happen(pool, dice, customers, settings)
    steps = [step.build(settings) for step in (fraud, analytics, notifications, users)]
    relay = OutboxRelay(settings)
    shard = Shard(settings, steps, member="whole-stream")
    await relay.start()
    await shard.start()
    try:
        for query, wanted in _ARRIVES.items():
            await until(pool, query, wanted, within_s=60)
    finally:
        await shard.stop()
        await relay.stop()
    total = Decimal(amount).scaleb(-2)
    for table in ("analytics.orders_minute", "analytics.revenue_minute", "fraud.decisions"):
        assert await pool.fetchval(f"SELECT sum(amount) FROM {table}") == total
    assert await pool.fetchval("SELECT count(*) FROM users.profiles") == len(customers)
    assert await pool.fetchval("SELECT count(*) FROM stream.dead_letters") == 0


async def _happen(
    pool: Pool, dice: random.Random, customers: list[UUID], settings: Settings
) -> int:
    """Registrations, orders and every tenth cancelled, as their services write them down."""
    registrations = [
        new_event(
            registered(user, settings, email=f"{user}@whole.example", name="W"),
            key=str(user),
            producer="auth",
            now=START,
        )
        for user in customers
    ]
    events, amount = [], 0
    for i in range(ORDERS):
        user = dice.choice(customers)
        order = placed(
            new_id().int,
            user=user.int,
            amount=dice.randint(100, 500_000),
            decision=dice.choice(["approve", "review"]),
        )
        amount += order.amount_minor
        events.append(new_event(order, key=str(user), producer="orders", now=at(i)))
        if i % 10 == 0:
            change = OrderCancelled(
                order_id=order.order_id,
                user_id=user,
                previous="approved" if order.decision == "approve" else "in_review",
                amount_minor=order.amount_minor,
                currency="USD",
                lines=order.lines,
                placed_at=at(i),
            )
            events.append(new_event(change, key=str(user), producer="orders", now=at(i + 60)))
    async with pool.transaction() as conn:
        await outbox.append(conn, "auth", "accounts", registrations)
        await outbox.append(conn, "orders", "transactions", events)
    return amount
