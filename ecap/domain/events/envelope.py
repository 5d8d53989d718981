"""The outside of an event, the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from ecap.domain.events.payload import Payload
from ecap.domain.events.versions import NAMES
from ecap.domain.values.ids import new_id


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
        return NAMES[type(self.payload)][0]


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
