"""What the stream refuses although it decodes: such an event goes to the dead letters.

A value that PostgreSQL would refuse has to be stopped here; in a batch it would
fail the whole transaction, again and again.
"""

from __future__ import annotations

from collections.abc import Iterable

from ecap.domain.events.audit import AuditEntry, details_text
from ecap.domain.events.orders import Line, OrderChanged, OrderPlaced
from ecap.domain.values.money import MAX_MINOR

TEXT_MAX = 500
_QUANTITY_MAX = 1_000_000


def admit_text(*texts: str) -> None:
    for text in texts:
        if len(text) > TEXT_MAX or "\x00" in text:
            raise ValueError("text is too long or holds a NUL")


def admit_placed(order: OrderPlaced) -> None:
    """Raises ValueError."""
    _admit_amount(order.amount_minor, order.currency)
    if not 0 <= order.score <= 100:
        raise ValueError("score is not within 0 to 100")
    admit_text(order.card, order.device_id, *order.reasons)
    if not all(reason.isidentifier() for reason in order.reasons):
        raise ValueError("a reason is no reason code")
    latitude, longitude = order.latitude, order.longitude
    if latitude is not None and not -90.0 <= latitude <= 90.0:
        raise ValueError("latitude is not within -90 to 90")
    if longitude is not None and not -180.0 <= longitude <= 180.0:
        raise ValueError("longitude is not within -180 to 180")


def admit_changed(order: OrderChanged) -> None:
    """Raises ValueError."""
    _admit_amount(order.amount_minor, order.currency)
    if order.placed_at.tzinfo is None:
        raise ValueError("placed_at needs a time zone")


def admit_entry(entry: AuditEntry) -> None:
    """Raises ValueError."""
    admit_text(entry.action, entry.actor, entry.subject, entry.address, entry.request_id)
    details_text(entry)


def admit_lines(lines: Iterable[Line]) -> None:
    """Raises ValueError."""
    total = 0
    for line in lines:
        if not 0 < line.quantity <= _QUANTITY_MAX or line.unit_price_minor < 0:
            raise ValueError("a line has an impossible quantity or price")
        admit_text(line.category)
        total += line.quantity * line.unit_price_minor
    if total > MAX_MINOR:
        raise ValueError("the lines are worth more than an order can be")


def _admit_amount(amount_minor: int, currency: str) -> None:
    if not 0 <= amount_minor <= MAX_MINOR:
        raise ValueError("amount is out of range")
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise ValueError("currency is no ISO 4217 code")
