"""The actors as Ray actors: named, detached, restarted, reached through the mesh.

The plain classes know nothing of Ray. An actor's process reads its own
configuration; a process that Ray restarts opens itself again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from ecap import logs
from ecap.actors.bodies import SUPERVISOR, Hosted, SupervisorHost
from ecap.actors.hosting import BOOT_ID
from ecap.actors.hub_link import CONFIG
from ecap.actors.packing import opened
from ecap.actors.reach import NAMESPACE, find
from ecap.errors import Unavailable

_log = logs.get("ecap.remote")

_OPTIONS: dict[str, Any] = {
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0.01,
    "max_concurrency": 1000,
}
# Every member has one question waiting in the hub, all the time.
_MEMBERS = 5000
_STOP_S = 12.0
_STOP_ALL_S = 45.0
_START_ALL_S = 120.0


class Child:
    """A running actor in the eyes of the supervisor."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def health(self) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._handle.health.remote()
        except ActorDiedError:
            # Ray restarts what crashed; dead for good needs no second look.
            return {"alive": False, "ok": False, "trouble": "killed"}
        return found

    async def stop(self) -> None:
        await _stop(self._handle)


def _create(body: type, name: str, *args: Any) -> Any:
    """The actor of this name, made if there is none. Untyped, as Ray's handles are."""
    options = {**_OPTIONS, "max_concurrency": _MEMBERS} if name == CONFIG else _OPTIONS
    return ray.remote(body).options(name=name, **options).remote(*args)


def host(name: str, environ: Mapping[str, str]) -> Any:
    """The actor of this name in a Ray actor; it starts by itself."""
    return _create(Hosted, name, name, environ)


async def started(name: str, environ: Mapping[str, str]) -> Child:
    """The actor of this name, ready. Raises what it refuses to start for."""
    handle = host(name, environ)
    ready = False
    try:
        opened(await handle.ready.remote())
        ready = True
    finally:
        if not ready:
            # It may exist and hang; the next attempt must not find it again.
            ray.kill(handle)
    return Child(handle)


async def _stop(handle: Any) -> None:
    """`ray.kill` cleans nothing up, so it is asked to end first."""
    try:
        async with asyncio.timeout(_STOP_S):
            await handle.stop.remote()
    except (TimeoutError, RayError) as exc:
        _log.warning("an actor is killed", extra={"trouble": repr(exc)})
    finally:
        ray.kill(handle)


# ---- for whoever owns the Ray node


async def ensure_supervisor(environ: Mapping[str, str], *, boot_id: str) -> None:
    """Start the supervisor, and wait until it has started every actor.

    `environ` is laid over the environment of the actors' processes: addresses and
    secret references, never values of secrets. With a new `boot_id` the configuration
    hub takes what only a restart can change. Raises Misconfigured with an actor's
    reason to refuse, Unavailable when they have not all started in time.
    """
    handle = _create(SupervisorHost, SUPERVISOR, {**environ, BOOT_ID: boot_id})
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
            await _stop(ray.get_actor(name, namespace=NAMESPACE))
