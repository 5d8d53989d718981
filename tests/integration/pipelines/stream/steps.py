"""Orders, their events, and running them through a step as the runtime does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ecap.actors.stream.pipeline import Record
from ecap.clients.postgres import Pool
from ecap.config import Settings
from ecap.config.secrets.keyring.ring import PREFIX
from ecap.config.secrets.keyring.stores import FileKeyring, Plain
from ecap.config.secrets.rows import sealed
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderChanged, OrderPlaced, OrderStatus
from ecap.domain.events.payload import Payload
from ecap.domain.events.users import UserRegistered

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def registered(user: UUID, settings: Settings, *, email: str, name: str) -> UserRegistered:
    """As the auth service writes it down, under the keyring of the servers."""
    assert settings.keyring.file is not None
    ring = FileKeyring(settings.keyring.file, Plain()).load().ring
    token = sealed(ring, user, {"email": email, "display_name": name})
    return UserRegistered(user_id=user, sealed=PREFIX + token.decode())


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def placed(order: int, *, user: int = 1, amount: int = 2_000, **more: Any) -> OrderPlaced:
    facts: dict[str, Any] = {
        "order_id": UUID(int=order),
        "user_id": UUID(int=user),
        "amount_minor": amount,
        "currency": "USD",
        "lines": (Line(UUID(int=9), "books", 1, amount),),
        "card": "card",
        "device_id": "phone",
        "ip": "192.0.2.1",
    }
    return OrderPlaced(**(facts | more))


def record(payload: Payload, seconds: float, *, pos: int = 0) -> Record:
    event = new_event(payload, key="key", producer="test", now=at(seconds))
    return Record("transactions", 0, pos, event)


def changed(
    kind: type[OrderChanged], order: OrderPlaced, *, previous: OrderStatus, reason: str = ""
) -> OrderChanged:
    return kind(
        order_id=order.order_id,
        user_id=order.user_id,
        previous=previous,
        amount_minor=order.amount_minor,
        currency=order.currency,
        lines=order.lines,
        placed_at=START,
        reason=reason,
    )


async def run(pool: Pool, pipeline: Any, state: Any, records: Sequence[Record]) -> None:
    """One batch, in one transaction."""
    results = [pipeline.apply(state, record) for record in records]
    async with pool.transaction() as conn:
        await pipeline.write(conn, [result for result in results if result is not None])
