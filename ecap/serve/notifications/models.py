from __future__ import annotations

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from ecap.domain.events.notifications import Channel
from ecap.serve.endpoints.models import Amount, Currency, Model
from ecap.serve.endpoints.pages import PageQuery

Kind = Literal["order_placed", "order_approved", "order_denied", "order_cancelled"]
Status = Literal["pending", "sending", "delivered", "failed"]


class Notification(Model):
    """A message to a customer over one channel."""

    id: UUID
    order_id: UUID
    kind: Kind
    channel: Channel
    subject: str
    amount: Amount = Field(description="of the order")
    currency: Currency
    status: Status
    occurred_at: datetime = Field(description="when that happened which it tells of")
    created_at: datetime
    delivered_at: datetime | None = None


class Attempt(Model):
    attempt: int
    worker: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: Literal["delivered", "retry", "failed"] | None = Field(
        None, description="absent while it runs, and when its worker died"
    )
    error: str | None = None


class DeliverySummary(Notification):
    user_id: UUID
    event_id: UUID
    attempts: int
    next_attempt_at: datetime
    last_error: str | None = None


class Delivery(DeliverySummary):
    log: tuple[Attempt, ...]


class NotificationQuery(PageQuery):
    status: Status | None = None


class DeliveryQuery(PageQuery):
    """At least one of the three narrows it down."""

    status: Literal["pending", "sending", "failed"] | None = None
    user_id: UUID | None = None
    order_id: UUID | None = None

    @model_validator(mode="after")
    def _narrowed(self) -> Self:
        if not (self.status or self.user_id or self.order_id):
            raise ValueError("give status, user_id or order_id")
        return self
