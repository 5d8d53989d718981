"""Orders and their events, for tests of the steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ecap.actors.stream.pipeline import Record
from ecap.domain.events.envelope import new_event
from ecap.domain.events.orders import Line, OrderPlaced
from ecap.domain.events.payload import Payload
from ecap.domain.fraud.scoring import ScoreQuestion

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


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


def question(order: int, *, user: int = 1, amount: int = 2_000, **more: Any) -> ScoreQuestion:
    facts: dict[str, Any] = {
        "transaction_id": UUID(int=order),
        "user_id": UUID(int=user),
        "amount_minor": amount,
        "currency": "USD",
        "card": "card",
        "device_id": "phone",
    }
    return ScoreQuestion(**(facts | more))


def record(payload: Payload, seconds: float, *, pos: int = 0) -> Record:
    event = new_event(payload, key="key", producer="test", now=at(seconds))
    return Record("transactions", 0, pos, event)
