"""Events as bytes, and what is wrong with bytes that are none."""

from __future__ import annotations

import msgspec

from ecap.domain.events.envelope import Envelope, Event
from ecap.domain.events.versions import NAMES, PAYLOADS


class EventError(ValueError):
    """Bytes that are no event. `reason` is stable: malformed, unknown, invalid."""

    reason = "malformed"


class MalformedEvent(EventError):
    reason = "malformed"


class UnknownEvent(EventError):
    reason = "unknown"


class InvalidPayload(EventError):
    reason = "invalid"


_encoder = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(Envelope)
_payloads = {name: msgspec.json.Decoder(payload) for name, payload in PAYLOADS.items()}


def encode(event: Event) -> bytes:
    name, version = NAMES[type(event.payload)]
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
