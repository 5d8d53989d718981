"""The eight Serve applications and the actors on the local node.

Imported late, as `head` is.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from ray import serve
from ray.exceptions import RayError
from ray.serve._private.common import ReplicaState
from ray.serve.config import HTTPOptions

from ecap.actors.reach import RayActors
from ecap.config.protocol import HubLink
from ecap.config.settings.services.deployments import ServiceName
from ecap.config.settings.tree import Settings
from ecap.errors import Unavailable
from ecap.local.process.ports import LOOPBACK
from ecap.runtime import cluster
from ecap.runtime.applications import bind
from ecap.runtime.roster import IGNORE_OVERRIDES
from ecap.serve.gateway.prefixes import route_prefix


class App(msgspec.Struct, frozen=True):
    name: str
    state: str
    replicas: int
    message: str


def start(port: int) -> None:
    """Serve's controller and HAProxy. A named host keeps replica ports on loopback too."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        serve.start(http_options=HTTPOptions(host=LOOPBACK, port=port))
    except RayError as exc:
        raise Unavailable(f"the front door does not open on port {port}: {exc}") from exc


def deploy(names: Iterable[ServiceName], settings: Settings | None = None) -> None:
    """All at once; returns when they are accepted, not when they run.

    Again with other `settings`, it changes the bounds of autoscaling in place.
    """
    serve.run_many(
        [
            serve.RunTarget(
                target=bind(name, settings),
                name=name,
                route_prefix=route_prefix(name),
            )
            for name in names
        ],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )


def hub(settings: Settings) -> HubLink:
    return RayActors(settings).hub()


def states() -> list[App]:
    """Raises Unavailable with Serve's reason when an application cannot be deployed."""
    found = []
    for name, app in serve.status().applications.items():
        messages = [d.message for d in app.deployments.values() if d.message] or [app.message]
        if app.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise Unavailable(f"the service {name} does not start: {messages[0]}")
        running = sum(
            d.replica_states.get(ReplicaState.RUNNING, 0) for d in app.deployments.values()
        )
        found.append(App(name, str(app.status.value), running, messages[0]))
    return found


async def start_actors(*, ignore_overrides: bool = False) -> None:
    """Their processes inherit the environment of the node."""
    environ = {IGNORE_OVERRIDES: "1"} if ignore_overrides else {}
    await cluster.ensure_supervisor(environ, boot_id=uuid.uuid4().hex)


async def actors() -> dict[str, dict[str, Any]]:
    return await cluster.statuses()


async def stop_actors() -> None:
    await cluster.stop_all()


def stop() -> None:
    """Drains the replicas; without this the node would wait half a minute for them."""
    serve.shutdown()  # type: ignore[no-untyped-call]
