"""The services behind the front door, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ecap.config.settings.services.deployments import ServiceName

# The gateway itself owns what no other prefix matches.
PREFIXES: Mapping[str, str] = {
    name: f"/api/v1/{name}" for name in get_args(ServiceName) if name != "gateway"
}


def route_prefix(service: str) -> str:
    """Serve routes by the longest prefix, so the gateway gets what nobody else owns."""
    return PREFIXES.get(service, "/")
