"""Cursors of collections in order of time: (moment, id) of the last item of a page."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from ecap.errors import Invalid
from ecap.serve.endpoints.models import decode_cursor, encode_cursor


def encode_moment(at: datetime, item_id: UUID) -> str:
    return encode_cursor(at.isoformat(), item_id)


def decode_moment(cursor: str) -> tuple[datetime, UUID]:
    """Raises Invalid."""
    at, item_id = decode_cursor(cursor, parts=2)
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        # The first and the last day of the calendar do not exist in every zone.
        return moment.astimezone(UTC), UUID(item_id)
    except (ValueError, OverflowError) as exc:
        raise Invalid("not a cursor of this collection", field="cursor") from exc
