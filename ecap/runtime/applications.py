"""A service as a Ray Serve application: the same for all eight, options from settings."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel
from ray import serve
from ray.serve.schema import LoggingConfig

from ecap.actors.garbage import collect_rarely
from ecap.actors.reach import RayActors
from ecap.config import Settings, load
from ecap.config.settings.services.deployments import Deployment, ServiceName
from ecap.runtime.services import service_of
from ecap.serve.edge.asgi import Edge
from ecap.serve.replica.replica import build

# With a version of its own every deployment would replace all replicas, even one that only
# changes how many there may be. Where Serve reads a file, it makes the version itself.
_VERSION = "1"


def options(settings: Settings, service: ServiceName) -> dict[str, Any]:
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


def bind(service: ServiceName, settings: Settings | None = None) -> serve.Application:
    """The application of a service; its replicas read their configuration where they run.

    `settings` are those of the deployment itself, such as the bounds of its autoscaling.
    """
    settings = settings or load(secrets=False)

    # A function, because Serve takes only functions for builders, and one that holds
    # nothing but a name, because Serve pickles it with what it holds.
    def in_replica() -> Edge:
        settings = load()
        # Serve's stand-in looks for the caller of each line: a tenth of a busy replica.
        sys.stdout = sys.__stdout__
        collect_rarely()
        # Serve adds the request id to every answer; two of them would read as one, "a, a".
        return build(
            *service_of(service),
            settings,
            actors=RayActors(settings),
            member=f"{service}-{serve.get_replica_context().replica_id.unique_id}",
            answers_id=False,
        )

    ingress = serve.ingress(in_replica)()
    deployment = serve.deployment(**options(settings, service))(ingress)
    # There is no public way: Serve's own declarative deployments set it like this.
    return deployment.options(_internal=True, version=_VERSION).bind()


class Chosen(BaseModel):
    """The arguments of an application in a RayService."""

    service: ServiceName


def application(chosen: Chosen) -> serve.Application:
    """Named as `import_path` in what `ecap manifest` writes."""
    return bind(chosen.service)
