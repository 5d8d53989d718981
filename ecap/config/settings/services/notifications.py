"""How messages to customers are delivered."""

from __future__ import annotations

from pydantic import Field

from ecap.config.settings.section import Section


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
