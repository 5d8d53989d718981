"""The actors as Ray actors: named, detached, restarted, reached through the mesh.

The plain classes know nothing of Ray. An actor's process reads its own
configuration; a process that Ray restarts opens itself again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from ecap import logs
from ecap.actors import hosting
from ecap.actors.following import follow
from ecap.actors.garbage import collect_rarely
from ecap.actors.hub_link import CONFIG, HubConnection
from ecap.actors.reach import NAMESPACE, Raised, RayActorTransport, find, opened
from ecap.actors.supervisor import Spec, Supervisor, Watch
from ecap.config import Settings, load
from ecap.config.joining import taking_part
from ecap.config.member import Member
from ecap.config.protocol import Health
from ecap.errors import EcapError, NotFound, Unavailable

SUPERVISOR = "supervisor"

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
# A worker of Ray starts in two seconds, and Ray itself restarts one that was killed.
_WATCH = Watch(every_s=2.0, answer_s=5.0, misses=5, stop_s=15.0)


def _member(name: str, settings: Settings, *, health: Callable[[], Health] = Health) -> Member:
    return Member(
        name,
        kind="actor",
        settings=settings,
        link=HubConnection(RayActorTransport(CONFIG), hold_s=settings.hub.hold_s),
        clock=time.monotonic,
        health=health,
    )


class _Hosted:
    """The body of a Ray actor."""

    async def __init__(self, name: str, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        self._refused: EcapError | None = None
        collect_rarely()
        try:
            environ = {**os.environ, **environ}
            settings = load(environ)
            logs.setup(service=name, level=settings.log.level, style=settings.log.style)
            self._actor = hosting.build(name, settings, environ)
            self._stack = AsyncExitStack()
            await self._actor.start()
            await self._join(name, settings)
        except EcapError as exc:
            # Raised from here, Ray would turn it into a text about a dead actor.
            self._refused = exc

    async def _join(self, name: str, settings: Settings) -> None:
        """It serves with what it has loaded; what runs comes from the hub when that is there."""
        if name == CONFIG:
            return
        member = _member(name, settings, health=self._health)
        follow(member, self._actor)
        await self._stack.enter_async_context(taking_part(member))

    def _health(self) -> Health:
        found = self._actor.health()
        return Health(ok=bool(found.get("alive", True) and found.get("ok", True)))

    async def ready(self) -> Raised | None:
        return Raised(self._refused) if self._refused else None

    async def health(self) -> Mapping[str, Any]:
        if self._refused:
            return {"alive": False, "ok": False, "trouble": str(self._refused)}
        return {**self._actor.health(), "pid": os.getpid()}

    async def call(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        if self._refused:
            return Raised(self._refused)
        try:
            return await self._actor.handle(method, payload, headers)
        except EcapError as exc:
            return Raised(exc)

    async def stop(self) -> None:
        if not self._refused:
            await self._stack.aclose()
            await self._actor.stop()


class _SupervisorHost:
    """Restarted by Ray like the others, it adopts the actors that are running."""

    async def __init__(self, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        settings = load({**os.environ, **environ}, secrets=False)
        logs.setup(service=SUPERVISOR, level=settings.log.level, style=settings.log.style)
        specs = [Spec(name, _starter(name, environ)) for name in hosting.names(settings)]
        self._supervisor = Supervisor(specs, watch=_WATCH)
        self._stack = AsyncExitStack()
        await self._supervisor.start()
        member = _member(SUPERVISOR, settings)
        follow(member, self._supervisor)
        await self._stack.enter_async_context(taking_part(member))

    async def ready(self) -> Raised | None:
        try:
            await self._supervisor.ready()
        except EcapError as exc:
            return Raised(exc)
        return None

    async def status(self) -> dict[str, dict[str, Any]]:
        return self._supervisor.status()

    async def call(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        """As the other actors are asked; the gateway wants to know who is well."""
        if method != "status":
            return Raised(NotFound(f"the supervisor does not know {method}"))
        return self._supervisor.status()

    async def stop(self) -> None:
        await self._stack.aclose()
        await self._supervisor.stop()


class _Child:
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
    return _create(_Hosted, name, name, environ)


def _starter(name: str, environ: Mapping[str, str]) -> Callable[[], Any]:
    async def start() -> _Child:
        handle = host(name, environ)
        ready = False
        try:
            opened(await handle.ready.remote())
            ready = True
        finally:
            if not ready:
                # It may exist and hang; the next attempt must not find it again.
                ray.kill(handle)
        return _Child(handle)

    return start


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
    handle = _create(_SupervisorHost, SUPERVISOR, {**environ, hosting.BOOT_ID: boot_id})
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
