"""From features to a decision; and the question a shard answers about a transaction."""

from __future__ import annotations

from uuid import UUID

import msgspec

from ecap.domain.events.orders import Decision
from ecap.domain.fraud.features import Features
from ecap.domain.fraud.rules import RULES
from ecap.domain.fraud.thresholds import Thresholds


class ScoreQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """`transaction_id` is the id the order will have: asking again about the same
    one gives the same answer and counts once."""

    transaction_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    card: str
    device_id: str
    latitude: float | None = None
    longitude: float | None = None


class ScoreAnswer(msgspec.Struct, frozen=True):
    """Score 0 to 100; reason codes, strongest first."""

    transaction_id: UUID
    decision: Decision
    score: int
    reasons: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, gc=False):
    decision: Decision
    score: int
    reasons: tuple[str, ...]


def judge(features: Features, thresholds: Thresholds) -> Verdict:
    weights = thresholds.weights
    fired = {
        rule.code: weights.get(rule.code, rule.weight)
        for rule in RULES
        if rule.applies(features, thresholds)
    }
    score = min(100, sum(fired.values()))
    decision: Decision = "approve"
    if score >= thresholds.deny_score:
        decision = "deny"
    elif score >= thresholds.review_score:
        decision = "review"
    return Verdict(decision, score, tuple(code for code, weight in fired.items() if weight))
