"""How messages to customers are delivered."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ecap.config.settings.section import Section


class Notifications(Section):
    poll_s: float = Field(0.2, ge=0.01, le=60, description="between looks for deliveries")
    batch: int = Field(50, ge=1, le=1000, description="deliveries claimed at once")
    concurrency: int = Field(
        8, ge=1, le=256, description="deliveries under way at once, per worker"
    )
    max_attempts: int = Field(8, ge=1, le=100, description="then a delivery has failed")
    backoff_s: float = Field(
        1.0, ge=0.001, le=3600, description="before the second attempt; doubles"
    )
    backoff_max_s: float = Field(
        300.0, ge=0.001, le=86400, description="longest wait between attempts"
    )
    claim_s: float = Field(
        30.0, ge=0.5, le=3600, description="a claim of a dead worker is free again after this"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.backoff_s > self.backoff_max_s:
            raise ValueError("backoff_s is above backoff_max_s")
        return self
