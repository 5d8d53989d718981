"""The way of events from the outboxes to the broker."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ecap.config.settings.section import Section


class Outbox(Section):
    batch_max_events: int = Field(2000, ge=1, le=20_000, description="events sent together at most")
    poll_min_s: float = Field(0.01, ge=0.001, le=5, description="between looks while there is work")
    poll_max_s: float = Field(0.1, ge=0.01, le=30, description="between looks when there is none")
    audit_every_s: float = Field(
        5.0, ge=0.1, le=3600, description="compare broker end offsets with what was sent"
    )
    retention_s: int = Field(
        7 * 86400, ge=60, le=366 * 86400, description="how long sent events are kept for a refill"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.poll_min_s > self.poll_max_s:
            raise ValueError("poll_min_s is above poll_max_s")
        return self
