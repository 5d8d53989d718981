"""Totals of a minute, as the stream has added them up."""

from __future__ import annotations

from datetime import datetime

from ecap.domain.events.payload import Payload


class RevenueMinute(Payload, frozen=True, kw_only=True):
    minute: datetime
    category: str
    outcome: str
    amount_minor: int
    units: int
