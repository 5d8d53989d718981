"""One second of the run in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ecap.demo.shoppers.latency import Latency, Meter, percentile
from ecap.demo.shoppers.ledger import Ledger
from ecap.domain.events.orders import Decision


@dataclass(frozen=True)
class Seen:
    """What the system says of itself; None where nobody could be asked. `revenue` by start
    of the minute and category, of everybody's orders."""

    alerts: int | None = None
    delivered: int | None = None
    lag: Mapping[str, int] | None = None
    revenue: Mapping[datetime, Mapping[str, int]] | None = None


@dataclass(frozen=True)
class Milliseconds:
    p50: float | None
    p99: float | None


@dataclass(frozen=True)
class View:
    passed_s: float
    seconds: float
    people: int
    per_second: float
    accepted: int
    sent: int
    repeats: int
    orders_ms: Milliseconds
    requests_ms: Milliseconds
    decisions: Mapping[Decision, int]
    refused: Mapping[str, int]
    waited: Mapping[str, int]
    seen: Seen


def view(
    ledger: Ledger, meter: Meter, seen: Seen, *, passed_s: float, seconds: float, now: float
) -> View:
    return View(
        passed_s=min(passed_s, seconds),
        seconds=seconds,
        people=len(ledger.users),
        per_second=ledger.per_second(now, over_s=max(1.0, min(5.0, passed_s))),
        accepted=len(ledger.placed),
        sent=ledger.sent,
        repeats=ledger.repeats,
        orders_ms=recent_ms(meter.orders, now),
        requests_ms=recent_ms(meter.requests, now),
        decisions=ledger.decisions,
        refused=dict(ledger.refused),
        waited=dict(ledger.waited),
        seen=seen,
    )


def recent_ms(latency: Latency, now: float) -> Milliseconds:
    return in_ms(latency.recent_s(now))


def in_ms(seconds: list[float]) -> Milliseconds:
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    return Milliseconds(
        None if p50 is None else p50 * 1000.0, None if p99 is None else p99 * 1000.0
    )
