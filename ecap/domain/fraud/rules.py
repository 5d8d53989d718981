"""The rules a transaction is judged by: a reason code, a weight, a test.

Weights add up and are capped at 100. They are set so that, with the default
scores (review 50, deny 80), one strong sign asks for a review and two deny; an
extreme amount denies whatever the scores are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ecap.domain.fraud.features import Features
from ecap.domain.fraud.thresholds import Thresholds

# Given by the orders service when no shard answered in time.
UNAVAILABLE = "fraud_unavailable"


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    weight: int
    applies: Callable[[Features, Thresholds], bool]


def _takeover(f: Features, t: Thresholds) -> bool:
    """Somebody else's device and card on a known account, and something to gain."""
    if not (f.new_device and f.new_card):
        return False
    return f.amount_minor >= t.takeover_minor or f.away_km >= t.travel_min_km


def _impossible_travel(f: Features, t: Thresholds) -> bool:
    return f.speed_kmh >= t.travel_kmh and f.away_km >= t.travel_min_km


def _amount_high(f: Features, t: Thresholds) -> bool:
    return t.amount_review_minor <= f.amount_minor < t.amount_deny_minor


def _spend(f: Features, t: Thresholds) -> bool:
    """Ordinary amounts that add up; a large one is judged as such, not twice."""
    return f.spend_minor >= t.spend_minor and f.amount_minor < t.amount_review_minor


# Strongest first: reasons are reported in this order.
RULES: tuple[Rule, ...] = (
    Rule("amount_extreme", 100, lambda f, t: f.amount_minor >= t.amount_deny_minor),
    Rule("card_testing", 80, lambda f, t: f.small_cards >= t.card_count),
    Rule("impossible_travel", 60, _impossible_travel),
    Rule("amount_high", 50, _amount_high),
    Rule("velocity", 50, lambda f, t: f.velocity >= t.velocity_count),
    Rule("spend", 50, _spend),
    Rule("account_takeover", 50, _takeover),
    Rule("new_device", 15, lambda f, t: f.new_device),
    Rule("new_card", 10, lambda f, t: f.new_card),
)
