"""What happened: one envelope, versioned payloads, and the topics they travel on.

A payload type is named by `type` and `version`. Adding a field with a default
keeps the version; anything else makes a new one. Unknown pairs are refused with
`UnknownEvent`, so that a consumer can set the event aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import msgspec

from ecap.domain.ids import new_id

Decision = Literal["approve", "review", "deny"]
OrderStatus = Literal["pending", "approved", "in_review", "denied", "cancelled"]
Channel = Literal["email", "webhook"]


class Payload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class Line(msgspec.Struct, frozen=True, gc=False):
    product_id: UUID
    category: str
    quantity: int
    unit_price_minor: int


class OrderPlaced(Payload, frozen=True, kw_only=True):
    """`decision` is the one the order was placed with; `scored` is false when the
    fraud shard could not be asked in time."""

    order_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    lines: tuple[Line, ...]
    card: str
    device_id: str
    ip: str
    latitude: float | None = None
    longitude: float | None = None
    decision: Decision | None = None
    reasons: tuple[str, ...] = ()
    score: int = 0
    scored: bool = False


class _OrderChanged(Payload, frozen=True, kw_only=True):
    order_id: UUID
    user_id: UUID
    previous: OrderStatus
    amount_minor: int
    currency: str
    lines: tuple[Line, ...]
    placed_at: datetime
    reason: str = ""
    actor: str = ""


class OrderApproved(_OrderChanged, frozen=True, kw_only=True):
    pass


class OrderDenied(_OrderChanged, frozen=True, kw_only=True):
    pass


class OrderCancelled(_OrderChanged, frozen=True, kw_only=True):
    pass


OrderChanged = OrderApproved | OrderDenied | OrderCancelled


class UserRegistered(Payload, frozen=True, kw_only=True):
    """`sealed` is `enc:` and the user's `email` and `display_name` under the keyring: neither
    the broker nor the streams can read them. Version 1 had both in plain text."""

    user_id: UUID
    sealed: str


class ProductUpserted(Payload, frozen=True, kw_only=True):
    """`stock_delta` is what the warehouse added or took; orders move stock themselves."""

    product_id: UUID
    sku: str
    name: str
    category: str
    price_minor: int
    currency: str
    active: bool
    stock_delta: int = 0


class ProductViewed(Payload, frozen=True, kw_only=True):
    session_id: str
    product_id: UUID
    user_id: UUID | None = None


class ProductSearched(Payload, frozen=True, kw_only=True):
    session_id: str
    query: str
    results: int
    user_id: UUID | None = None


class FraudAlert(Payload, frozen=True, kw_only=True):
    transaction_id: UUID
    user_id: UUID
    decision: Decision
    reasons: tuple[str, ...]
    score: int
    amount_minor: int
    currency: str


class _Notification(Payload, frozen=True, kw_only=True):
    notification_id: UUID
    user_id: UUID
    kind: str
    channel: Channel
    attempts: int


class NotificationDelivered(_Notification, frozen=True, kw_only=True):
    pass


class NotificationFailed(_Notification, frozen=True, kw_only=True):
    error: str


class RevenueMinute(Payload, frozen=True, kw_only=True):
    minute: datetime
    category: str
    outcome: str
    amount_minor: int
    units: int


PAYLOADS: Mapping[tuple[str, int], type[Payload]] = {
    ("order.placed", 1): OrderPlaced,
    ("order.approved", 1): OrderApproved,
    ("order.denied", 1): OrderDenied,
    ("order.cancelled", 1): OrderCancelled,
    ("user.registered", 2): UserRegistered,
    ("product.upserted", 1): ProductUpserted,
    ("product.viewed", 1): ProductViewed,
    ("product.searched", 1): ProductSearched,
    ("fraud.alert", 1): FraudAlert,
    ("notification.delivered", 1): NotificationDelivered,
    ("notification.failed", 1): NotificationFailed,
    ("revenue.minute", 1): RevenueMinute,
}
_NAMES = {payload: name for name, payload in PAYLOADS.items()}


@dataclass(frozen=True)
class Topic:
    """A topic has one producing service: positions are dense per topic and partition."""

    name: str
    partitions: int
    key: str
    producer: str
    compacted: bool = False


TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("transactions", 6, "user_id", "orders"),
        Topic("accounts", 3, "user_id", "auth"),
        Topic("product-updates", 3, "product_id", "catalog", compacted=True),
        Topic("user-events", 12, "session_id", "analytics"),
        Topic("fraud-alerts", 2, "transaction_id", "fraud"),
        Topic("analytics-results", 4, "metric", "analytics"),
        Topic("notifications", 3, "user_id", "notifications"),
    )
}
DLQ_SUFFIX = ".dlq"
DLQ_PARTITIONS = 1


class EventError(ValueError):
    """Bytes that are no event. `reason` is stable: malformed, unknown, invalid."""

    reason = "malformed"


class MalformedEvent(EventError):
    reason = "malformed"


class UnknownEvent(EventError):
    reason = "unknown"


class InvalidPayload(EventError):
    reason = "invalid"


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outside of an event; the payload stays raw until somebody wants it."""

    id: UUID
    type: str
    version: int
    occurred_at: datetime
    key: str
    producer: str
    payload: msgspec.Raw
    traceparent: str | None = None


@dataclass(frozen=True)
class Event:
    id: UUID
    occurred_at: datetime
    key: str
    producer: str
    payload: Payload
    traceparent: str | None = None

    @property
    def type(self) -> str:
        return _NAMES[type(self.payload)][0]


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_payloads = {name: msgspec.json.Decoder(payload) for name, payload in PAYLOADS.items()}


def new_event(
    payload: Payload,
    *,
    key: str,
    producer: str,
    now: datetime,
    traceparent: str | None = None,
    event_id: UUID | None = None,
) -> Event:
    """`now` has to carry a time zone."""
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    return Event(event_id or new_id(), now, key, producer, payload, traceparent)


def encode(event: Event) -> bytes:
    name, version = _NAMES[type(event.payload)]
    return _encoder.encode(
        Envelope(
            id=event.id,
            type=name,
            version=version,
            occurred_at=event.occurred_at,
            key=event.key,
            producer=event.producer,
            payload=msgspec.Raw(_encoder.encode(event.payload)),
            traceparent=event.traceparent,
        )
    )


def decode_envelope(body: bytes) -> Envelope:
    try:
        envelope = _envelope.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedEvent(str(exc)) from exc
    if envelope.occurred_at.tzinfo is None:
        raise MalformedEvent("occurred_at needs a time zone")
    return envelope


def decode(body: bytes) -> Event:
    """Raises MalformedEvent, UnknownEvent or InvalidPayload."""
    return open_envelope(decode_envelope(body))


def open_envelope(envelope: Envelope) -> Event:
    decoder = _payloads.get((envelope.type, envelope.version))
    if decoder is None:
        raise UnknownEvent(f"{envelope.type} version {envelope.version}")
    try:
        payload = decoder.decode(envelope.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidPayload(str(exc)) from exc
    return Event(
        envelope.id,
        envelope.occurred_at,
        envelope.key,
        envelope.producer,
        payload,
        envelope.traceparent,
    )


DECISIONS: tuple[Decision, ...] = get_args(Decision)
