"""Identifiers."""

from __future__ import annotations

from uuid import UUID, uuid5

import uuid_utils.compat

# Any fixed values work; they only keep our names apart from other uuid5 users.
_ORDERS = UUID("0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b70")
_ALERTS = UUID("0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b71")
_DELIVERIES = UUID("0192f0a4-6d3b-7c1e-9a52-1f6f3a8c2b72")


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): unique, and ordered by creation time."""
    return uuid_utils.compat.uuid7()


def order_id(user_id: UUID, idempotency_key: str) -> UUID:
    """The same order for the same key, so that a retry asks about the same transaction."""
    return uuid5(_ORDERS, f"{user_id}:{idempotency_key}")


def alert_id(transaction_id: UUID) -> UUID:
    """Of the alert about a transaction, and of the event that tells of it."""
    return uuid5(_ALERTS, transaction_id.hex)


def delivery_id(event_id: UUID, channel: str) -> UUID:
    """One delivery per event and channel, however often the event is read."""
    return uuid5(_DELIVERIES, f"{event_id}:{channel}")
