"""What the fraud rules compare with; given by whoever configures them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Widths in microseconds, money in minor units; every limit means "at least".

    The defaults are those of the settings, `fraud.*`.
    """

    review_score: int
    deny_score: int
    amount_review_minor: int
    amount_deny_minor: int
    velocity_window: int
    velocity_count: int
    spend_window: int
    spend_minor: int
    card_window: int
    card_count: int
    card_small_minor: int
    travel_kmh: float
    travel_min_km: float
    takeover_minor: int
    # A transaction may come this much behind its customer's newest and still be
    # scored exactly.
    lateness: int
    # By reason code, instead of the rule's own; 0 switches it off.
    weights: Mapping[str, int]

    @property
    def retention(self) -> int:
        return max(self.velocity_window, self.spend_window, self.card_window) + self.lateness
