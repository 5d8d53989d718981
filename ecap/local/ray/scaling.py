"""The bounds of autoscaling, followed by whoever deployed the services.

Serve takes them in place: no replica is replaced (a test counts). On a cluster the
deployment is KubeRay's, and the keeper refuses the change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ecap.config.member.follows import Follow, follow
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.protocol import HubLink
from ecap.config.settings.services.deployments import ServiceName, Services
from ecap.config.settings.tree import Settings
from ecap.errors import Misconfigured

# Serve accepts all eight in a second; a busy machine takes longer.
_DEPLOY_S = 8.0

Deploy = Callable[[Sequence[ServiceName], Settings], None]


@asynccontextmanager
async def scaling(
    settings: Settings, services: Sequence[ServiceName], *, deploy: Deploy, link: HubLink
) -> AsyncIterator[None]:
    """`settings` are those that `services` were deployed with."""
    member = Member("deployer", kind="deployer", settings=settings, link=link, clock=time.monotonic)
    deployed = settings.services

    async def change(new: Services) -> None:
        nonlocal deployed
        changed = [name for name in services if getattr(new, name) != getattr(deployed, name)]
        if changed:
            whole = settings.model_copy(update={"services": new})
            await asyncio.to_thread(deploy, changed, whole)
        deployed = new

    follow(member, (Follow("services", Services, change, check=_check, timeout_s=_DEPLOY_S),))
    async with taking_part(member):
        yield


def _check(services: Services) -> None:
    for name, one in services:
        if one.min_replicas > one.max_replicas:
            raise Misconfigured(
                f"services.{name}.min_replicas ({one.min_replicas}) is above"
                f" services.{name}.max_replicas ({one.max_replicas})"
            )
