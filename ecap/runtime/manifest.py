"""What Serve deploys on a cluster, rendered from the settings: RayService's `serveConfigV2`.

The same options as `ecap up` deploys with, so that one file of `configs/` decides both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from ecap.config import Settings
from ecap.config.settings.services.deployments import ServiceName
from ecap.runtime.applications import options
from ecap.serve.gateway.prefixes import route_prefix

KEEPER = "keeper"
# Replicas ask their own node's HAProxy for other services, so there is one wherever they are.
_PROXY_LOCATION = "EveryNode"
# Pods are reached from other nodes; NetworkPolicy says by whom.
_HOST = "0.0.0.0"  # noqa: S104


def manifest(settings: Settings) -> dict[str, Any]:
    services = [_service(settings, name) for name in get_args(ServiceName)]
    return {
        "proxy_location": _PROXY_LOCATION,
        "http_options": {"host": _HOST, "port": settings.http.port},
        "applications": [*services, _keeper()],
    }


def _service(settings: Settings, name: ServiceName) -> dict[str, Any]:
    return {
        "name": name,
        "route_prefix": route_prefix(name),
        "import_path": "ecap.runtime.applications:application",
        "args": {"service": name},
        "deployments": [_plain(options(settings, name))],
    }


def _keeper() -> dict[str, Any]:
    """Locally the process of `ecap up` starts the actors; a cluster has no such process."""
    return {
        "name": KEEPER,
        "route_prefix": None,
        "import_path": "ecap.runtime.keeper.deployment:app",
    }


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without Serve's own classes, and of those only what was set."""
    return {
        key: value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else value
        for key, value in given.items()
    }
