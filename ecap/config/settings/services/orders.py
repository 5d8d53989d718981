"""How orders are taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ecap.config.settings.section import AMOUNTS, Section


class Orders(Section):
    currency: Annotated[str, AMOUNTS] = Field(
        "USD", pattern=r"^[A-Z]{3}$", description="of all amounts, ISO 4217"
    )
    decision_timeout_s: float = Field(
        0.25, ge=0.01, le=30, description="then the order goes to review"
    )
    max_lines: int = Field(50, ge=1, le=1000, description="products in one order")
    max_quantity: int = Field(100, ge=1, le=100_000, description="pieces of one product")
    idempotency_ttl_s: int = Field(
        86400, ge=60, le=31 * 86400, description="how long an answer can be replayed by its key"
    )
