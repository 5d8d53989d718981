from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from ecap.domain.events.orders import Decision
from ecap.serve.endpoints.models import Amount, Currency, Model
from ecap.serve.endpoints.pages import PageQuery

Score = Annotated[int, Field(ge=0, le=100)]
AlertStatus = Literal["open", "acknowledged", "closed"]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class Transaction(Model):
    """Something about to happen. Asked again under the same id it counts once."""

    transaction_id: UUID
    user_id: UUID
    amount: Amount
    currency: Currency = "USD"
    card_token: str = Field(min_length=8, max_length=128, pattern=r"^[\x21-\x7e]+$")
    device_id: str = Field(pattern=r"^[\x21-\x7e]{1,128}$")
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)


class Scored(Model):
    transaction_id: UUID
    decision: Decision
    score: Score
    reasons: tuple[str, ...] = Field(description="codes of the rules that fired, strongest first")


class Decided(Scored):
    """The decision an order was placed with, and what became of the order."""

    user_id: UUID
    amount: Amount
    currency: Currency
    scored_live: bool = Field(description="false: the shard did not answer in time")
    late: bool
    occurred_at: datetime
    decided_at: datetime
    outcome: Literal["approved", "denied", "cancelled"] | None = None
    outcome_at: datetime | None = None


class DecisionQuery(PageQuery):
    user_id: UUID
    decision: Decision | None = None


class Alert(Model):
    id: UUID
    transaction_id: UUID
    user_id: UUID
    decision: Literal["review", "deny"]
    score: Score
    reasons: tuple[str, ...]
    amount: Amount
    currency: Currency
    status: AlertStatus
    status_by: str | None = Field(
        None, description="who changed it last; `order` when the order's outcome closed it"
    )
    status_at: datetime
    note: str
    version: int
    occurred_at: datetime


class AlertQuery(PageQuery):
    status: AlertStatus | None = None
    user_id: UUID | None = None


class AlertChange(Model):
    status: Literal["acknowledged", "closed"]
    note: Note | None = Field(None, description="replaces the note there is")
