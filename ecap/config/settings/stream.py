"""The stream shards and the pipelines in them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ecap.config.settings.section import CONNECTION, PARTITIONS, Section

PipelineName = Literal[
    "fraud", "analytics", "notifications", "users", "inventory", "availability", "audit"
]


class Stream(Section):
    batch_max_events: int = Field(
        2000, ge=1, le=20_000, description="events committed together at most"
    )
    fetch_wait_s: Annotated[float, CONNECTION] = Field(
        0.2,
        ge=0.001,
        le=5,
        description="how long the broker holds a fetch that finds nothing; longer is less idle"
        " load, and a longer wait of a busy partition whose idle siblings were asked alone",
    )
    lease_ttl_s: float = Field(
        6.0, ge=1, le=300, description="a silent owner's partitions are free after this"
    )
    heartbeat_s: float = Field(1.0, ge=0.05, le=100, description="between renewals of the leases")
    snapshot_every_s: float = Field(
        30.0, ge=0.1, le=3600, description="between snapshots of keyed state"
    )
    late_after_s: int = Field(
        86400, ge=0, le=366 * 86400, description="older events are counted and marked late"
    )
    shards: Annotated[dict[PipelineName, int], PARTITIONS] = Field(
        {"fraud": 1}, description="actors of a pipeline that does not share one"
    )
    shared: Annotated[tuple[PipelineName, ...], PARTITIONS] = Field(
        ("analytics", "notifications", "users", "inventory", "availability", "audit"),
        description="pipelines that share one actor",
    )

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.lease_ttl_s < 2 * self.heartbeat_s:
            raise ValueError("lease_ttl_s has to be at least two heartbeat_s")
        return self
