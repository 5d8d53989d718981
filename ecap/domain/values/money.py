"""Exact money: integer minor units inside, decimal text outside."""

from __future__ import annotations

from decimal import Decimal

MAX_MINOR = 10**12 - 1  # numeric(12, 2)


def to_minor(amount: Decimal) -> int:
    """12.34 becomes 1234. Raises ValueError when it is not a whole number of cents."""
    scaled = amount.scaleb(2)
    minor = int(scaled)
    if scaled != minor:
        raise ValueError("more than two decimal places")
    return minor


def to_decimal(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)
