"""Whether the whole works, and which part of it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ecap.actors.hub_link import CONFIG
from ecap.config.member.member import Member
from ecap.errors import EcapError
from ecap.mesh import MeshClient
from ecap.serve.endpoints.routing import Check
from ecap.serve.gateway.models import Readiness
from ecap.serve.gateway.prefixes import PREFIXES
from ecap.serve.replica import health

# Probes come from several sides at once; each costs a call to every service.
_HOLDS_S = 1.0
_RELAY = "relay"
# Configuration that cannot change is no reason to refuse anybody.
_HELPFUL = ("actor ", "configuration ")


class WholeReadiness:
    """PostgreSQL and the services are needed. Actors and the broker are not: while they
    are away orders are accepted, go to review, and reach the stream later."""

    def __init__(
        self,
        needed: Mapping[str, Check],
        services: Callable[[str], MeshClient],
        supervisor: MeshClient | None,
    ) -> None:
        self._needed = needed
        self._services = services
        self._supervisor = supervisor

    async def look(self) -> tuple[Mapping[str, str], float]:
        """Every check with its outcome, and for how many seconds it holds."""
        checks = dict(self._needed)
        for name in PREFIXES:
            checks[f"service {name}"] = _answers(self._services(name), PREFIXES[name])
        needed, helpful = await asyncio.gather(health.outcomes(checks), self._actors())
        return {**needed, **helpful}, _HOLDS_S

    async def _actors(self) -> dict[str, str]:
        if self._supervisor is None:
            return {}
        try:
            status = await self._supervisor.call("status", idempotent=True)
        except EcapError as exc:
            return {"actor supervisor": str(exc)}
        found = {f"actor {name}": _trouble(one) for name, one in status.items()}
        found["broker"] = found.get(f"actor {_RELAY}", "no relay runs")
        return found | _sources(status.get(CONFIG, {}))


def judged(found: Mapping[str, str], member: Member | None) -> Readiness:
    """Raises Unavailable when something needed is down."""
    helpful = {name for name in found if name == "broker" or name.startswith(_HELPFUL)}
    health.refuse({name: outcome for name, outcome in found.items() if name not in helpful})
    well = all(found[name] == "ok" for name in helpful)
    return Readiness(
        status="ready" if well else "degraded",
        checks=dict(found),
        configuration=health.configuration(member),
    )


def _answers(service: MeshClient, prefix: str) -> Check:
    async def check() -> None:
        """With the patience of any other call of the service."""
        await service.call(f"GET {prefix}/readyz")

    return check


def _trouble(status: Mapping[str, Any]) -> str:
    told: Mapping[str, Any] = status.get("health") or {}
    if status.get("state") == "running" and told.get("ok", True):
        return "ok"
    return str(told.get("trouble") or status.get("trouble") or status.get("state") or "unknown")


def _sources(hub: Mapping[str, Any]) -> dict[str, str]:
    """How each source of configuration is, as the hub sees it."""
    told: Mapping[str, Any] = hub.get("health") or {}
    return {f"configuration {name}": state for name, state in told.get("sources", {}).items()}
