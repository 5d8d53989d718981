"""How much a caller may ask for."""

from __future__ import annotations

from pydantic import Field

from ecap.config.settings.section import Section


class Bucket(Section):
    rate_per_s: float = Field(ge=1, le=10_000_000, description="requests granted, sustained")
    burst: float = Field(ge=10, le=10_000_000, description="requests granted at once")


class Limits(Section):
    enabled: bool = Field(True, description="off: nothing is limited")
    address: Bucket = Bucket(rate_per_s=500, burst=1000)
    principal: Bucket = Bucket(rate_per_s=200, burst=400)
    credentials: Bucket = Field(
        Bucket(rate_per_s=5, burst=100), description="log in and register, per address"
    )
    lease_s: float = Field(
        2.0, ge=0.1, le=60, description="how long a replica may keep granted tokens"
    )
