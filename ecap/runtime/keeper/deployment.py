"""The Serve application without a route that keeps a cluster's actors running."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import ray
from ray import serve

from ecap import logs, tasks
from ecap.actors.reach import RayActors
from ecap.clients.database import open_database
from ecap.clients.postgres import Pool
from ecap.config import Settings, load
from ecap.config.layers.environment import PREFIX
from ecap.config.member.follows import LEVEL, Follow, follow
from ecap.config.member.member import Member
from ecap.config.member.participation import taking_part
from ecap.config.settings.connections.postgres import Postgres
from ecap.config.settings.services.deployments import Services
from ecap.errors import Misconfigured
from ecap.runtime import cluster
from ecap.runtime.keeper.tenure import Keeper


class KeeperReplica:
    async def __init__(self) -> None:  # type: ignore[misc]
        settings = load()
        logs.setup(service="keeper", level=settings.log.level, style=settings.log.style)
        # Addresses and references arrive with the application; the node does not know them.
        environ = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        self._stack = AsyncExitStack()
        pool = await self._stack.enter_async_context(open_database(settings, service="keeper"))

        async def start() -> None:
            await cluster.ensure_supervisor(environ, boot_id=_boot_id(environ))

        await self._stack.enter_async_context(_taking_part(settings, pool))
        keeper = Keeper(pool, start=start, stop=cluster.stop_all)
        self._task = asyncio.create_task(keeper.run(), name="keeper")

    async def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        if self._task.done():
            self._task.result()

    async def __del__(self) -> None:
        # Serve awaits it. The lock goes with the pool; the actors stay for the next keeper.
        await tasks.end(self._task)
        await self._stack.aclose()


def _taking_part(settings: Settings, pool: Pool) -> AbstractAsyncContextManager[None]:
    """Follows the log level and the log-in, and refuses what a cluster cannot change like this.

    With the old connection goes the lock: it is taken anew, unless another cluster waits for it.
    """
    link = RayActors(settings).hub()
    member = Member("keeper", kind="keeper", settings=settings, link=link, clock=time.monotonic)
    log_in = Follow("postgres", Postgres, pool.reconfigure)
    follow(member, (LEVEL, log_in, Follow("services", Services, refused, check=refused)))
    return taking_part(member)


def refused(services: Services) -> None:
    """Raises Misconfigured."""
    raise Misconfigured(
        "services.*: on a cluster KubeRay owns the deployment and would undo it;"
        " change the RayService (`helm upgrade`)"
    )


def _boot_id(environ: Mapping[str, str]) -> str:
    """The same for the next keeper of this cluster, as long as it is told the same."""
    told = hashlib.sha256(json.dumps(sorted(environ.items())).encode()).hexdigest()[:12]
    return f"{ray.get_runtime_context().get_session_name()}-{told}"


app = serve.deployment(
    KeeperReplica, name="keeper", num_replicas=1, ray_actor_options={"num_cpus": 0.01}
).bind()  # type: ignore[attr-defined]
