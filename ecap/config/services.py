"""Sections of what the services decide by, and how many replicas serve them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from ecap.config.section import AMOUNTS, CONNECTION, REPLICA, TOKENS, Section

ServiceName = Literal[
    "gateway", "auth", "users", "catalog", "orders", "analytics", "fraud", "notifications"
]
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


class Auth(Section):
    issuer: Annotated[str, TOKENS] = Field("ecap", description="`iss` of access tokens")
    audience: Annotated[str, TOKENS] = Field("ecap", description="`aud` of access tokens")
    access_ttl_s: int = Field(900, ge=30, le=86400, description="life of an access token")
    refresh_ttl_s: int = Field(30 * 86400, ge=60, description="life of a refresh token")
    signing_key_ttl_s: int = Field(30 * 86400, ge=3600, description="a new signing key after this")
    argon2_memory_kib: int = Field(19456, ge=8192, description="OWASP minimum 19 MiB")
    argon2_iterations: int = Field(2, ge=1, description="passes over the memory")
    jwks_url: Annotated[str | None, CONNECTION] = Field(
        None, description="unset: the auth service behind the front door"
    )
    clock_skew_s: float = Field(
        5.0, ge=0, le=300, description="tolerated between machines when tokens are checked"
    )
    admin_email: str | None = Field(
        None, description="the first administrator; unset: none is created"
    )
    admin_password: SecretStr | None = Field(None, description="creates the first administrator")


class Orders(Section):
    currency: Annotated[str, AMOUNTS] = Field(
        "USD", pattern=r"^[A-Z]{3}$", description="of all amounts, ISO 4217"
    )
    decision_timeout_s: float = Field(0.25, gt=0, description="then the order goes to review")
    max_lines: int = Field(50, ge=1, description="products in one order")
    max_quantity: int = Field(100, ge=1, description="pieces of one product")
    idempotency_ttl_s: int = Field(
        86400, ge=60, description="how long an answer can be replayed by its key"
    )


class Fraud(Section):
    provisional_ttl_s: float = Field(
        30.0, gt=0, description="a decision counts this long without its event"
    )
    review_score: int = Field(50, ge=1, le=100, description="from this score an order is reviewed")
    deny_score: int = Field(80, ge=1, le=100, description="from this score an order is denied")
    amount_review: Decimal = Field(
        Decimal("2000.00"), description="an order of this amount is reviewed"
    )
    amount_deny: Decimal = Field(
        Decimal("10000.00"), description="an order of this amount is denied"
    )
    velocity_window_s: int = Field(60, ge=1, description="orders of one user are counted over this")
    velocity_count: int = Field(6, ge=1, description="more orders in the window are suspicious")
    spend_window_s: int = Field(
        3600, ge=1, description="spending of one user is added up over this"
    )
    spend_amount: Decimal = Field(
        Decimal("5000.00"), description="more in the window is suspicious"
    )
    card_window_s: int = Field(600, ge=1, description="cards of one user are counted over this")
    card_count: int = Field(3, ge=2, description="different cards of one user in the window")
    card_small_amount: Decimal = Field(
        Decimal("10.00"), description="an order up to this looks like a card being tested"
    )
    travel_kmh: float = Field(900.0, gt=0, description="faster between two orders is impossible")
    travel_min_km: float = Field(100.0, ge=0, description="shorter distances are not judged")
    takeover_amount: Decimal = Field(
        Decimal("200.00"), description="from a new device with a new card: account take-over"
    )
    weights: dict[RuleCode, Annotated[int, Field(ge=0, le=100)]] = Field(
        {}, description="points of a rule, by its reason code; unset: its own, 0: off"
    )
    lateness_s: int = Field(
        300, ge=0, description="a transaction may be this late and still be scored exactly"
    )


class Notifications(Section):
    poll_s: float = Field(0.2, gt=0, description="between looks for deliveries")
    batch: int = Field(50, ge=1, description="deliveries claimed at once")
    concurrency: int = Field(8, ge=1, description="deliveries under way at once, per worker")
    max_attempts: int = Field(8, ge=1, description="then a delivery has failed")
    backoff_s: float = Field(1.0, gt=0, description="before the second attempt; doubles")
    backoff_max_s: float = Field(300.0, gt=0, description="longest wait between attempts")
    claim_s: float = Field(
        30.0, gt=0, description="a claim of a dead worker is free again after this"
    )


class Deployment(Section):
    """Ray Serve options of one service."""

    min_replicas: int = Field(1, ge=0, description="fewest replicas")
    max_replicas: int = Field(4, ge=1, description="most replicas")
    target_ongoing_requests: float = Field(
        32, gt=0, description="a replica more when each has this many"
    )
    max_ongoing_requests: Annotated[int, REPLICA] = Field(
        128, ge=1, description="a replica with this many takes no more"
    )
    upscale_delay_s: float = Field(5.0, ge=0, description="load has to last this long for one more")
    downscale_delay_s: float = Field(
        60.0, ge=0, description="quiet has to last this long for one less"
    )
    num_cpus: Annotated[float, REPLICA] = Field(
        0.1, ge=0, description="share of a CPU that Ray reserves for a replica"
    )
    graceful_shutdown_timeout_s: float = Field(
        10.0, gt=0, description="for requests under way when a replica ends"
    )
    health_check_period_s: float = Field(5.0, gt=0, description="between checks of a replica")


class Services(Section):
    gateway: Deployment = Deployment()
    auth: Deployment = Deployment()
    users: Deployment = Deployment()
    catalog: Deployment = Deployment()
    orders: Deployment = Deployment()
    analytics: Deployment = Deployment()
    fraud: Deployment = Deployment()
    notifications: Deployment = Deployment()
