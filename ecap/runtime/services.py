"""The services by name."""

from __future__ import annotations

from typing import assert_never

from ecap.config.settings.services.deployments import ServiceName
from ecap.serve.replica.replica import Service


def service_of(name: ServiceName) -> Service:
    """What a replica of the service runs."""
    # Late, and one of them: a replica needs nothing of the other seven.
    match name:
        case "gateway":
            from ecap.serve.gateway.deployment import service
        case "auth":
            from ecap.serve.auth.deployment import service
        case "users":
            from ecap.serve.users.deployment import service
        case "catalog":
            from ecap.serve.catalog.deployment import service
        case "orders":
            from ecap.serve.orders.deployment import service
        case "analytics":
            from ecap.serve.analytics.deployment import service
        case "fraud":
            from ecap.serve.fraud.deployment import service
        case "notifications":
            from ecap.serve.notifications.deployment import service
        case _:
            assert_never(name)
    return service
