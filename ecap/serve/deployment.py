"""A service as a Ray Serve application: the same for all eight, options from settings."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve.schema import LoggingConfig

from ecap.actors.remote import RayActors
from ecap.config import Settings, load
from ecap.config.settings import Deployment
from ecap.serve.asgi import Edge
from ecap.serve.process import Opener, build
from ecap.serve.routing import Api


def options(settings: Settings, service: str) -> dict[str, Any]:
    """The arguments of `serve.deployment` for a service."""
    chosen: Deployment = getattr(settings.services, service)
    return {
        "name": service,
        "max_ongoing_requests": chosen.max_ongoing_requests,
        "graceful_shutdown_timeout_s": chosen.graceful_shutdown_timeout_s,
        "health_check_period_s": chosen.health_check_period_s,
        "ray_actor_options": {"num_cpus": chosen.num_cpus},
        "autoscaling_config": {
            "min_replicas": chosen.min_replicas,
            "max_replicas": chosen.max_replicas,
            "target_ongoing_requests": chosen.target_ongoing_requests,
            "upscale_delay_s": chosen.upscale_delay_s,
            "downscale_delay_s": chosen.downscale_delay_s,
        },
        # The edge writes the access log, with ids Serve does not know.
        "logging_config": LoggingConfig(enable_access_log=False, log_level="WARNING"),
    }


def bind(api: Api, opener: Opener[Any], settings: Settings) -> serve.Application:
    """An application whose replicas read their configuration where they run."""

    def in_replica() -> Edge:
        own = load()
        return build(api, opener, own, actors=RayActors(own))

    # A function, because Serve takes only functions for builders, called in the replica.
    ingress = serve.ingress(in_replica)()
    return serve.deployment(**options(settings, api.service))(ingress).bind()
