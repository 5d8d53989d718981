"""Ray Serve options of each service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ecap.config.settings.section import REPLICA, Section

ServiceName = Literal[
    "gateway", "auth", "users", "catalog", "orders", "analytics", "fraud", "notifications"
]


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
