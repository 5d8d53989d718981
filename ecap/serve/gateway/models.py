from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecap.serve.endpoints.models import Model
from ecap.serve.replica.health import Configuration


class Index(Model):
    name: str = "ECAP"
    version: str
    links: dict[str, str]
    services: dict[str, str] = Field(description="where each service begins")


class Readiness(Model):
    status: Literal["ready", "degraded"] = Field(
        description="degraded: everything is accepted, something is done later"
    )
    checks: dict[str, str] = Field(description='"ok", or what is the matter')
    configuration: Configuration | None = None


class Part(Model):
    status: Literal["ok", "unavailable"]
    value: Any = Field(None, description="as the service that owns it answers")
    reason: str | None = Field(None, description="why it is unavailable")


class Overview(Model):
    """Every part stands for itself: one that cannot be had says so."""

    profile: Part
    orders: Part = Field(description="the last five")
    notifications: Part = Field(description="the last five")


class Limit(Model):
    rate_per_s: float
    burst: float


class LimitsThatApply(Model):
    enabled: bool
    counted_by: Literal["principal", "address"]
    requests: Limit
    credentials: Limit = Field(description="log in, register and refresh, per address")
