"""What became of messages to customers."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from ecap.domain.events.payload import Payload

Channel = Literal["email", "webhook"]


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
