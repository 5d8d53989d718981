"""Decisions that an analyst should see."""

from __future__ import annotations

from uuid import UUID

from ecap.domain.events.orders import Decision
from ecap.domain.events.payload import Payload


class FraudAlert(Payload, frozen=True, kw_only=True):
    transaction_id: UUID
    user_id: UUID
    decision: Decision
    reasons: tuple[str, ...]
    score: int
    amount_minor: int
    currency: str
