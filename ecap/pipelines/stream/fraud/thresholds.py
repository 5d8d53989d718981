"""What the rules compare with, from the settings: the one place where their defaults stand."""

from __future__ import annotations

from ecap.config.settings.services.fraud import Fraud
from ecap.domain.fraud.thresholds import Thresholds
from ecap.domain.values.money import to_minor
from ecap.domain.values.windows import SECOND
from ecap.errors import Misconfigured


def thresholds(settings: Fraud) -> Thresholds:
    """Raises Misconfigured for limits that contradict each other."""
    for review, deny in (("review_score", "deny_score"), ("amount_review", "amount_deny")):
        low, high = getattr(settings, review), getattr(settings, deny)
        if low > high:
            raise Misconfigured(f"fraud.{review} ({low}) is above fraud.{deny} ({high})")
    return Thresholds(
        review_score=settings.review_score,
        deny_score=settings.deny_score,
        amount_review_minor=to_minor(settings.amount_review),
        amount_deny_minor=to_minor(settings.amount_deny),
        velocity_window=settings.velocity_window_s * SECOND,
        velocity_count=settings.velocity_count,
        spend_window=settings.spend_window_s * SECOND,
        spend_minor=to_minor(settings.spend_amount),
        card_window=settings.card_window_s * SECOND,
        card_count=settings.card_count,
        card_small_minor=to_minor(settings.card_small_amount),
        travel_kmh=settings.travel_kmh,
        travel_min_km=settings.travel_min_km,
        takeover_minor=to_minor(settings.takeover_amount),
        lateness=settings.lateness_s * SECOND,
        weights={str(code): points for code, points in settings.weights.items()},
    )
