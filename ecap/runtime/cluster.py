"""All actors of a Ray cluster, for whoever owns it: started together, looked at, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from ecap import logs
from ecap.actors.reach import NAMESPACE, find
from ecap.actors.supervisor import SUPERVISOR
from ecap.actors.wire.packets import opened
from ecap.errors import Unavailable
from ecap.runtime.children import created, stop
from ecap.runtime.roster import BOOT_ID
from ecap.runtime.supervisor import SupervisorHost

_log = logs.get("ecap.remote")

_STOP_ALL_S = 45.0
_START_ALL_S = 120.0


async def ensure_supervisor(environ: Mapping[str, str], *, boot_id: str) -> None:
    """Start the supervisor, and wait until it has started every actor.

    `environ` is laid over the environment of the actors' processes: addresses and
    secret references, never values of secrets. With a new `boot_id` the configuration
    hub takes what only a restart can change. Raises Misconfigured with an actor's
    reason to refuse, Unavailable when they have not all started in time.
    """
    handle = created(SupervisorHost, SUPERVISOR, {**environ, BOOT_ID: boot_id})
    try:
        async with asyncio.timeout(_START_ALL_S):
            opened(await handle.ready.remote())
    except TimeoutError as exc:
        found = await statuses()
        waiting = [f"{name} ({x['trouble']})" for name, x in found.items() if x["health"] is None]
        raise Unavailable(f"actors have not started: {', '.join(waiting)}") from exc
    except RayError as exc:
        raise Unavailable(f"the supervisor does not start: {exc}") from exc


async def statuses() -> dict[str, dict[str, Any]]:
    """By actor name; empty when no supervisor runs. Raises Unavailable."""
    handle = find(SUPERVISOR)
    if handle is None:
        return {}
    try:
        found: dict[str, dict[str, Any]] = await handle.status.remote()
    except RayError as exc:
        raise Unavailable(f"the supervisor does not answer: {type(exc).__name__}") from exc
    return found


async def stop_all() -> None:
    """End every actor: the supervisor stops them in reverse order, each drained."""
    supervisor = find(SUPERVISOR)
    if supervisor is not None:
        try:
            async with asyncio.timeout(_STOP_ALL_S):
                await supervisor.stop.remote()
        except (TimeoutError, RayError) as exc:
            _log.warning("the supervisor is killed", extra={"trouble": repr(exc)})
        ray.kill(supervisor)
    # What a supervisor that could not answer left running.
    left = [x["name"] for x in ray.util.list_named_actors(True) if x["namespace"] == NAMESPACE]
    for name in left:
        if name != SUPERVISOR:
            await stop(ray.get_actor(name, namespace=NAMESPACE))
