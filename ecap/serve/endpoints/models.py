"""What the models of all services have in common."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from ecap.domain.values.money import MAX_MINOR, to_decimal
from ecap.errors import Invalid

Item = TypeVar("Item")


class Model(BaseModel):
    """Frozen, unknown fields refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

Amount = Annotated[
    Decimal,
    Field(
        ge=0,
        le=to_decimal(MAX_MINOR),
        max_digits=12,
        decimal_places=2,
        description="exact amount in major units, two decimals",
    ),
    PlainSerializer(lambda value: f"{value:.2f}", return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,2})?$"},
                {"type": "number", "minimum": 0, "maximum": float(to_decimal(MAX_MINOR))},
            ],
            "description": "exact amount in major units, at most two decimals",
        },
        mode="validation",
    ),
]


class PageQuery(Model):
    limit: int = Field(20, ge=1, le=100, description="items on a page")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before")


class Page(Model, Generic[Item]):
    items: tuple[Item, ...]
    next_cursor: str | None = Field(None, description="absent on the last page")


def encode_cursor(*parts: object) -> str:
    text = json.dumps([str(part) for part in parts], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, parts: int) -> list[str]:
    """Raises Invalid for anything `encode_cursor` did not make."""
    try:
        loaded: Any = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as exc:
        raise Invalid("not a cursor of this collection", field="cursor") from exc
    if (
        not isinstance(loaded, list)
        or len(loaded) != parts
        or not all(isinstance(part, str) and _is_storable(part) for part in loaded)
    ):
        raise Invalid("not a cursor of this collection", field="cursor")
    return loaded


def _is_storable(text: str) -> bool:
    """JSON can spell NUL and half characters, which PostgreSQL has no text for."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def instant_cursor(cursor: str | None) -> tuple[datetime, UUID] | tuple[None, None]:
    """The moment and the id a collection in order of time goes on after. Raises Invalid."""
    if cursor is None:
        return None, None
    at, last = decode_cursor(cursor, parts=2)
    try:
        # To UTC, as year 1 east of Greenwich is out of every other program's range.
        return datetime.fromisoformat(at).astimezone(UTC), UUID(last)
    except (ValueError, OverflowError) as exc:
        raise Invalid("not a cursor of this collection", field="cursor") from exc
