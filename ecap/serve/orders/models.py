from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from ecap.domain.events.orders import Decision, OrderStatus
from ecap.serve.endpoints.models import Amount, Currency, Model, Text
from ecap.serve.endpoints.pages import PageQuery

Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
Version = Annotated[int, Field(ge=1)]


class NewLine(Model):
    product_id: UUID
    quantity: int = Field(ge=1, le=1_000_000)


class Payment(Model):
    # Digits alone would be a card number, which must never come here.
    card_token: str = Field(
        min_length=8,
        max_length=128,
        pattern=r"^[A-Za-z0-9_.-]*[A-Za-z_][A-Za-z0-9_.-]*$",
        description="token of the payment provider, never a card number",
    )


class Device(Model):
    id: str = Field(pattern=r"^[\x21-\x7e]{1,128}$")
    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude come together")
        return self


class Shipping(Model):
    recipient: Text
    line1: Text
    line2: Text | None = None
    city: Text
    region: Text | None = None
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20)]
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2")


class NewOrder(Model):
    lines: tuple[NewLine, ...] = Field(min_length=1, description="each product once")
    payment: Payment
    device: Device
    shipping: Shipping | None = None
    expected_total: Amount | None = Field(
        None, description="what the customer was shown; another total is refused with 409"
    )

    @model_validator(mode="after")
    def _unique_products(self) -> Self:
        if len({line.product_id for line in self.lines}) != len(self.lines):
            raise ValueError("lines: a product stands twice")
        return self


class OrderLine(Model):
    product_id: UUID
    sku: str
    name: str
    category: str
    quantity: int
    unit_price: Amount


class Change(Model):
    version: Version
    previous: OrderStatus
    status: OrderStatus
    actor: str = Field(description="a user id, or `fraud`")
    reason: str
    at: datetime


class OrderSummary(Model):
    id: UUID
    user_id: UUID
    status: OrderStatus
    amount: Amount
    currency: Currency
    version: Version
    placed_at: datetime
    changed_at: datetime


class Order(OrderSummary):
    decision: Decision = Field(description="of the fraud rules, when the order was placed")
    lines: tuple[OrderLine, ...]
    shipping: Shipping | None = None
    history: tuple[Change, ...]


class Cancellation(Model):
    reason: Reason = ""


class Review(Model):
    verdict: Literal["approve", "deny"]
    reason: Reason = ""


class OrderQuery(PageQuery):
    status: OrderStatus | None = None
    user_id: UUID | None = Field(None, description="orders of another user; for staff")
    all: bool = Field(False, description="orders of all users; for staff")
