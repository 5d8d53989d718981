"""Types of settings that are money: exact, and no more than an order can cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

_MOST = Decimal(10) ** 12

Amount = Annotated[Decimal, Field(ge=0, le=_MOST, decimal_places=4)]
Limit = Annotated[Decimal, Field(gt=0, le=_MOST, decimal_places=4)]
"""Zero would be reached by every order."""
