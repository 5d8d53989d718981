"""Amounts for people."""

from __future__ import annotations

from ecap.domain.values.money import to_decimal


def money(minor: int) -> str:
    return f"{to_decimal(minor):,.2f}"
