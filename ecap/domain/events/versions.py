"""The payload of each event type and version.

Pairs that are not here are refused with `UnknownEvent`, so that a consumer can set the event
aside."""

from __future__ import annotations

from collections.abc import Mapping

from ecap.domain.events.alerts import FraudAlert
from ecap.domain.events.audit import AuditEntry
from ecap.domain.events.browsing import ProductSearched, ProductViewed
from ecap.domain.events.minutes import RevenueMinute
from ecap.domain.events.notifications import NotificationDelivered, NotificationFailed
from ecap.domain.events.orders import OrderApproved, OrderCancelled, OrderDenied, OrderPlaced
from ecap.domain.events.payload import Payload
from ecap.domain.events.products import ProductUpserted
from ecap.domain.events.users import PasswordGuessed, UserRegistered

PAYLOADS: Mapping[tuple[str, int], type[Payload]] = {
    ("order.placed", 1): OrderPlaced,
    ("order.approved", 1): OrderApproved,
    ("order.denied", 1): OrderDenied,
    ("order.cancelled", 1): OrderCancelled,
    ("user.registered", 1): UserRegistered,
    ("user.password-guessed", 1): PasswordGuessed,
    ("product.upserted", 1): ProductUpserted,
    ("product.viewed", 1): ProductViewed,
    ("product.searched", 1): ProductSearched,
    ("fraud.alert", 1): FraudAlert,
    ("notification.delivered", 1): NotificationDelivered,
    ("notification.failed", 1): NotificationFailed,
    ("revenue.minute", 1): RevenueMinute,
    ("audit.entry", 1): AuditEntry,
}
NAMES: Mapping[type[Payload], tuple[str, int]] = {
    payload: name for name, payload in PAYLOADS.items()
}
