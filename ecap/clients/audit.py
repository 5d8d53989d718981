"""Entries of the security log, in the transaction of what they tell of."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ecap.clients import outbox
from ecap.clients.postgres import Connection
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.envelope import new_event

# Each with a topic of its own, as a topic has one producer.
Producer = Literal["auth", "config", "stream"]


async def tell(
    conn: Connection,
    producer: Producer,
    *entries: AuditEntry,
    now: datetime,
    traceparent: str | None = None,
) -> None:
    events = [
        new_event(
            entry,
            key=entry.subject or entry.actor,
            producer=producer,
            now=now,
            traceparent=traceparent,
        )
        for entry in entries
    ]
    await outbox.append(conn, producer, f"audit-{producer}", events)
