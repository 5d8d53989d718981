"""The actors as Ray actors: named, detached, restarted, reached through the mesh.

The plain classes know nothing of Ray. An actor's process reads its own
configuration; a process that Ray restarts opens itself again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError

from ecap import logs
from ecap.actors import hosting
from ecap.actors.asking import ShardClient
from ecap.actors.directory import Directory
from ecap.actors.leasing import LeasedLimiter
from ecap.actors.supervisor import Spec, Supervisor, Watch
from ecap.clients.postgres import Pool
from ecap.config import load
from ecap.config.settings import Settings
from ecap.errors import DeadlineExceeded, EcapError, Unavailable
from ecap.mesh import CallPolicy, MeshClient, Transport, Unreached

NAMESPACE = "ecap"
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
_STOP_S = 12.0
_STOP_ALL_S = 45.0
# A worker of Ray starts in two seconds, and Ray itself restarts one that was killed.
_WATCH = Watch(every_s=2.0, answer_s=5.0, misses=5, stop_s=15.0)
_LEASE_POLICY = CallPolicy(
    timeout_s=0.25, attempts=1, idempotent=True, max_concurrency=2, max_queue=8
)


@dataclass(frozen=True)
class _Raised:
    """An error of ours on its way to the caller; Ray would wrap what is raised."""

    error: EcapError


class _Hosted:
    """The body of a Ray actor."""

    async def __init__(self, name: str, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        settings = load({**os.environ, **environ})
        logs.setup(service=name, level=settings.log.level, style=settings.log.style)
        self._actor = hosting.build(name, settings)
        await self._actor.start()

    async def ready(self) -> int:
        return os.getpid()

    async def health(self) -> Mapping[str, Any]:
        return {**self._actor.health(), "pid": os.getpid()}

    async def call(self, method: str, payload: Any, headers: Mapping[str, str]) -> Any:
        try:
            return await self._actor.handle(method, payload, headers)
        except EcapError as exc:
            return _Raised(exc)

    async def stop(self) -> None:
        await self._actor.stop()


class _SupervisorHost:
    """Restarted by Ray like the others, it adopts the actors that are running."""

    async def __init__(self, environ: Mapping[str, str]) -> None:  # type: ignore[misc]
        settings = load({**os.environ, **environ}, secrets=False)
        logs.setup(service=SUPERVISOR, level=settings.log.level, style=settings.log.style)
        specs = [Spec(name, _starter(name, environ)) for name in hosting.names(settings)]
        self._supervisor = Supervisor(specs, watch=_WATCH)
        await self._supervisor.start()

    async def ready(self) -> None:
        await self._supervisor.ready()

    async def status(self) -> dict[str, dict[str, Any]]:
        return self._supervisor.status()

    async def stop(self) -> None:
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
    return ray.remote(body).options(name=name, **_OPTIONS).remote(*args)


def _find(name: str) -> Any:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def _starter(name: str, environ: Mapping[str, str]) -> Callable[[], Any]:
    async def start() -> _Child:
        handle = _create(_Hosted, name, name, environ)
        ready = False
        try:
            await handle.ready.remote()
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


async def ensure_supervisor(environ: Mapping[str, str]) -> None:
    """Start the supervisor, and wait until it has started every actor.

    `environ` is laid over the environment of the actors' processes: addresses and
    secret references, never values of secrets.
    """
    handle = _create(_SupervisorHost, SUPERVISOR, dict(environ))
    await handle.ready.remote()


async def statuses() -> dict[str, dict[str, Any]]:
    """By actor name; empty when no supervisor runs. Raises Unavailable."""
    handle = _find(SUPERVISOR)
    if handle is None:
        return {}
    try:
        found: dict[str, dict[str, Any]] = await handle.status.remote()
    except RayError as exc:
        raise Unavailable(f"the supervisor does not answer: {type(exc).__name__}") from exc
    return found


async def stop_all() -> None:
    """End every actor: the supervisor stops them in reverse order, each drained."""
    supervisor = _find(SUPERVISOR)
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


# ---- for whoever asks an actor


class RayActorTransport:
    """To an actor by name; finds it again after it was replaced."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handle: Any = None

    async def send(
        self, method: str, payload: Any, headers: Mapping[str, str], timeout_s: float
    ) -> Any:
        if self._handle is None:
            self._handle = _find(self._name)
        if self._handle is None:
            raise Unreached(f"no actor is called {self._name}")
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._handle.call.remote(method, payload, dict(headers))
        except TimeoutError as exc:
            raise DeadlineExceeded(f"{self._name}: no answer in {timeout_s:.3f} s") from exc
        except ActorDiedError as exc:
            self._handle = None
            raise Unavailable(f"{self._name} has died", retry_after_s=0.1) from exc
        except RayActorError as exc:
            raise Unavailable(f"{self._name} is restarting", retry_after_s=0.1) from exc
        except RayTaskError as exc:
            raise EcapError(f"{self._name}: {method} failed: {exc.cause!r}") from exc
        except RayError as exc:
            raise Unavailable(f"{self._name}: {type(exc).__name__}") from exc
        if isinstance(answer, _Raised):
            raise answer.error
        return answer


class RayActors:
    """What a replica needs of the actors (see `ecap.serve.process.Actors`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def transport(self, actor: str) -> Transport:
        return RayActorTransport(actor)

    def limiter(self, service: str) -> LeasedLimiter | None:
        """None where limits are switched off."""
        limits = self._settings.limits
        if not limits.enabled:
            return None
        client = MeshClient(hosting.LIMITS, self.transport(hosting.LIMITS), _LEASE_POLICY)

        async def lease(requests: Any) -> Any:
            return await client.call("lease", requests)

        return LeasedLimiter(lease, service=service, lease_s=limits.lease_s)

    def shards(self, pool: Pool, *, policy: Callable[[str], CallPolicy]) -> ShardClient:
        """`policy` answers that of an actor name, such as `Process.policy`."""
        clients: dict[str, MeshClient] = {}

        def client(actor: str) -> MeshClient:
            if actor not in clients:
                clients[actor] = MeshClient(actor, self.transport(actor), policy(actor))
            return clients[actor]

        return ShardClient(Directory(pool), client)
