"""Collections a page at a time: each page says where the next one goes on."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field

from ecap.clients.postgres import Record
from ecap.errors import Invalid
from ecap.serve.endpoints.models import Model

Item = TypeVar("Item")


class PageQuery(Model):
    limit: int = Field(20, ge=1, le=100, description="items on a page")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before")


class Page(Model, Generic[Item]):
    items: tuple[Item, ...]
    next_cursor: str | None = Field(None, description="absent on the last page")


def next_cursor(rows: Sequence[Record], limit: int, *columns: str) -> str | None:
    """Where the next page goes on, by `columns` of the last item; None on the last page.

    `rows` were asked for with one more than `limit`.
    """
    if len(rows) <= limit:
        return None
    return encode_cursor(*(rows[limit - 1][column] for column in columns))


def page(
    rows: Sequence[Record], limit: int, of: Callable[[Record], Item], *, by: tuple[str, ...]
) -> Page[Item]:
    """At most `limit` items; `rows` and `by` as for `next_cursor`."""
    return Page(
        items=tuple(of(row) for row in rows[:limit]),
        next_cursor=next_cursor(rows, limit, *by),
    )


def encode_cursor(*parts: object) -> str:
    text = json.dumps([str(part) for part in parts], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, parts: int) -> list[str]:
    """Raises Invalid for anything `encode_cursor` did not make."""
    try:
        loaded: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as exc:
        raise strange() from exc
    if (
        not isinstance(loaded, list)
        or len(loaded) != parts
        or not all(isinstance(part, str) and _is_storable(part) for part in loaded)
    ):
        raise strange()
    return loaded


def _is_storable(text: str) -> bool:
    """JSON can spell NUL and half characters, which PostgreSQL has no text for."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def moment_cursor(cursor: str | None) -> tuple[datetime, UUID] | tuple[None, None]:
    """The moment and the id a collection in order of time goes on after. Raises Invalid."""
    if cursor is None:
        return None, None
    at, last = decode_cursor(cursor, parts=2)
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        # To UTC, as year 1 east of Greenwich is out of every other program's range.
        return moment.astimezone(UTC), UUID(last)
    except (ValueError, OverflowError) as exc:
        raise strange() from exc


def strange() -> Invalid:
    return Invalid("not a cursor of this collection", field="cursor")
