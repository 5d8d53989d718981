"""What the models of all services have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from ecap.domain.values.money import MAX_MINOR, to_decimal

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
