"""What an order is judged by: the one place where the defaults of the rules stand."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from ecap.config.settings.amounts import Amount, Limit
from ecap.config.settings.section import Section

RuleCode = Literal[
    "amount_extreme",
    "card_testing",
    "impossible_travel",
    "amount_high",
    "velocity",
    "spend",
    "account_takeover",
    "new_device",
    "new_card",
]


class Fraud(Section):
    provisional_ttl_s: float = Field(
        30.0, ge=0.1, le=3600, description="a decision counts this long without its event"
    )
    review_score: int = Field(50, ge=1, le=100, description="from this score an order is reviewed")
    deny_score: int = Field(80, ge=1, le=100, description="from this score an order is denied")
    amount_review: Limit = Field(
        Decimal("2000.00"), description="an order of this amount is reviewed"
    )
    amount_deny: Limit = Field(Decimal("10000.00"), description="an order of this amount is denied")
    velocity_window_s: int = Field(
        60, ge=1, le=31 * 86400, description="orders of one user are counted over this"
    )
    velocity_count: int = Field(
        6, ge=1, le=100_000, description="more orders in the window are suspicious"
    )
    spend_window_s: int = Field(
        3600, ge=1, le=31 * 86400, description="spending of one user is added up over this"
    )
    spend_amount: Limit = Field(Decimal("5000.00"), description="more in the window is suspicious")
    card_window_s: int = Field(
        600, ge=1, le=31 * 86400, description="cards of one user are counted over this"
    )
    card_count: int = Field(
        3, ge=2, le=100_000, description="different cards of one user in the window"
    )
    card_small_amount: Amount = Field(
        Decimal("10.00"), description="an order up to this looks like a card being tested"
    )
    travel_kmh: float = Field(
        900.0, ge=1, le=100_000, description="faster between two orders is impossible"
    )
    travel_min_km: float = Field(
        100.0, ge=0, le=20_000, description="shorter distances are not judged"
    )
    takeover_amount: Amount = Field(
        Decimal("200.00"), description="from a new device with a new card: account take-over"
    )
    weights: dict[RuleCode, Annotated[int, Field(ge=0, le=100)]] = Field(
        {}, description="points of a rule, by its reason code; unset: its own, 0: off"
    )
    lateness_s: int = Field(
        300,
        ge=0,
        le=7 * 86400,
        description="a transaction may be this late and still be scored exactly",
    )
