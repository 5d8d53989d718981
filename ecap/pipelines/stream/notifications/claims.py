"""Deliveries as PostgreSQL holds them: claimed for a while, and finished once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from ecap.clients import outbox
from ecap.clients.postgres import Pool, Record
from ecap.clients.queries import load_queries
from ecap.domain.events.envelope import Event, new_event
from ecap.domain.events.notifications import Channel, NotificationDelivered, NotificationFailed
from ecap.pipelines.stream.notifications.wording import Kind

_SQL = load_queries(__package__)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt` counts from 1. Without a contact the registration has not come yet."""

    id: UUID
    event_id: UUID
    user_id: UUID
    order_id: UUID
    kind: Kind
    channel: Channel
    subject: str
    facts: Mapping[str, Any]
    attempt: int
    occurred_at: datetime
    contact: bytes | None = None
    """E-mail and display name, sealed."""
    email: str | None = None
    display_name: str | None = None
    traceparent: str | None = None


class Finished(msgspec.Struct, frozen=True):
    delivery: Delivery
    outcome: Literal["delivered", "retry", "failed"]
    error: str | None = None
    delay_s: float = 0.0


class Claims:
    def __init__(self, pool: Pool, *, worker: str, claim_s: float) -> None:
        self._pool = pool
        self._worker = worker
        self._claim_s = claim_s

    def reconfigure(self, *, claim_s: float) -> None:
        """For what is claimed from now on."""
        self._claim_s = claim_s

    async def claim(self, limit: int, channels: Sequence[str]) -> list[Delivery]:
        rows = await self._pool.fetch(
            _SQL["claim"], limit, self._claim_s, self._worker, list(channels)
        )
        return [_delivery(row) for row in rows]

    async def finish(self, finished: Sequence[Finished]) -> int:
        """Status, log and events in one transaction; answers how many still had their claim."""
        async with self._pool.transaction() as conn:
            moved = await conn.fetch(
                _SQL["finish"],
                [one.delivery.id for one in finished],
                [one.delivery.attempt for one in finished],
                [one.outcome for one in finished],
                [one.error for one in finished],
                [one.delay_s for one in finished],
            )
            ids = {row["id"] for row in moved}
            now = datetime.now(UTC)
            events = [
                _event(one, now)
                for one in finished
                if one.delivery.id in ids and one.outcome != "retry"
            ]
            await outbox.append(conn, "notifications", "notifications", events)
        return len(ids)


def _delivery(row: Record) -> Delivery:
    facts = msgspec.json.decode(row["payload"], type=dict[str, Any])
    traceparent = facts.pop("traceparent", None)
    return Delivery(
        id=row["id"],
        event_id=row["event_id"],
        user_id=row["user_id"],
        order_id=row["order_id"],
        kind=row["kind"],
        channel=row["channel"],
        subject=row["subject"],
        facts=facts,
        attempt=row["attempts"],
        occurred_at=row["occurred_at"],
        contact=row["contact"],
        traceparent=traceparent,
    )


def _event(finished: Finished, now: datetime) -> Event:
    delivery = finished.delivery
    facts: dict[str, Any] = {
        "notification_id": delivery.id,
        "user_id": delivery.user_id,
        "kind": delivery.kind,
        "channel": delivery.channel,
        "attempts": delivery.attempt,
    }
    payload = (
        NotificationDelivered(**facts)
        if finished.outcome == "delivered"
        else NotificationFailed(**facts, error=finished.error or "")
    )
    return new_event(
        payload,
        key=str(delivery.user_id),
        producer="notifications",
        now=now,
        traceparent=delivery.traceparent,
    )
