"""What the fraud rules compare with; given by whoever configures them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecap.domain.windows import SECOND


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Widths in microseconds, money in minor units; every limit means "at least"."""

    review_score: int = 50
    deny_score: int = 80
    amount_review_minor: int = 2_000_00
    amount_deny_minor: int = 10_000_00
    velocity_window: int = 60 * SECOND
    velocity_count: int = 6
    spend_window: int = 3600 * SECOND
    spend_minor: int = 5_000_00
    card_window: int = 600 * SECOND
    card_count: int = 3
    card_small_minor: int = 10_00
    travel_kmh: float = 900.0
    travel_min_km: float = 100.0
    takeover_minor: int = 200_00
    # A transaction may come this much behind its customer's newest and still be
    # scored exactly.
    lateness: int = 300 * SECOND
    # By reason code, instead of the rule's own; 0 switches it off.
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def retention(self) -> int:
        return max(self.velocity_window, self.spend_window, self.card_window) + self.lateness
