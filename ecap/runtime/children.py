"""Ray actors by name: made, asked how they are, ended.

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
from ecap.actors.hub_link import CONFIG
from ecap.actors.reach import NAMESPACE
from ecap.actors.wire.packets import opened
from ecap.runtime.hosted import Hosted

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
        await stop(self._handle)


def created(body: type, name: str, *args: Any) -> Any:
    """The actor of this name, made if there is none. Untyped, as Ray's handles are."""
    options = {**_OPTIONS, "max_concurrency": _MEMBERS} if name == CONFIG else _OPTIONS
    return ray.remote(body).options(name=name, **options).remote(*args)


def host(name: str, environ: Mapping[str, str]) -> Any:
    """The actor of this name in a Ray actor; it starts by itself."""
    return created(Hosted, name, name, environ)


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


async def stop(handle: Any) -> None:
    """`ray.kill` cleans nothing up, so it is asked to end first."""
    try:
        async with asyncio.timeout(_STOP_S):
            await handle.stop.remote()
    except (TimeoutError, RayError) as exc:
        _log.warning("an actor is killed", extra={"trouble": repr(exc)})
    finally:
        ray.kill(handle)
