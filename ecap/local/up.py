"""One process owns everything of a local ECAP: starts it together, ends it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, get_args

import aiohttp
import msgspec

from ecap.clients.migrations import migrate
from ecap.clients.postgres import open_pool
from ecap.config import Settings, load
from ecap.config.settings.services.deployments import ServiceName
from ecap.errors import Unavailable
from ecap.local.overridden import ignored
from ecap.local.process.process import end_leftovers
from ecap.local.process.together import together
from ecap.local.ray import front_door
from ecap.local.ray.node import RayNode
from ecap.local.ray.scaling import scaling
from ecap.local.servers.credentials import Credentials
from ecap.local.servers.placement import Place
from ecap.local.servers.restarts import kept
from ecap.local.servers.servers import Plan, plan, running
from ecap.local.state import control, runtime
from ecap.local.state.folder import StateDir, open_state
from ecap.local.state.runtime import Runtime, Server
from ecap.local.welcome import register_demo_customer
from ecap.serve.catalog.seed import seed
from ecap.serve.gateway.prefixes import route_prefix

SERVICES: tuple[ServiceName, ...] = get_args(ServiceName)
_POLL_S = 0.1
_STATES_POLL_S = 0.4  # Serve works for its answer
_SERVICES_READY_S = 300.0  # on a machine that is busy with other things
_FRONT_DOOR_READY_S = 30.0


class Screen(Protocol):
    """What the person in front of it sees."""

    def ready(self, name: str, detail: str, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...

    def waiting(self, text: str) -> None: ...

    def lost(self, text: str) -> None:
        """Something has ended that cannot be started again: all has to end."""
        ...


@asynccontextmanager
async def up(
    settings: Settings,
    *,
    screen: Screen,
    environ: Mapping[str, str],
    dashboard: bool = False,
    services: tuple[ServiceName, ...] = SERVICES,
    ignore_overrides: bool = False,
) -> AsyncIterator[Runtime]:
    """Everything, ready. Raises Conflict when it runs already, Unavailable when a part fails."""
    begin = time.perf_counter()
    state = open_state(settings.state_dir)
    await asyncio.to_thread(state.create)
    async with AsyncExitStack() as stack:
        stack.enter_context(state.lock())
        for name in await asyncio.to_thread(end_leftovers, state):
            screen.note(f"ended {name}, left behind by a start that was killed")
        place = Place.find(state)
        if place.elsewhere and settings.postgres.host is None:
            screen.note(f"PostgreSQL cannot reach {state.data}; its data are in {place.data}")
        planned, node = _plan(settings, state, environ=environ, dashboard=dashboard)
        runtime.write(state, planned.runtime)
        screen.waiting("servers and Ray")
        on_ready = _announce(screen)
        found = await stack.enter_async_context(running(planned, on_ready=on_ready))
        stack.push_async_callback(_stopped, state, found)
        full = await asyncio.to_thread(load, {**environ, **found.environ})
        from ecap.local.ray import apps  # late: Ray reads its environment at import

        # Before they are begun: a start that fails half way ends what it has begun.
        stack.push_async_callback(_end_applications, apps, node)
        await _schema(full, screen)
        if ignore_overrides:
            await _say_ignored(full, {**environ, **found.environ}, screen)
        screen.waiting("services and actors")
        serve = _services_ready(apps, found, services, screen)
        actors = _actors_ready(apps, screen, ignore_overrides=ignore_overrides)
        await together({"actors": actors, "services": serve})
        await _front_door_ready(found, services)
        if "auth" in services:
            await register_demo_customer(found, Credentials(state).demo_password.read_text())
        found = msgspec.structs.replace(found, ready_s=round(time.perf_counter() - begin, 2))
        runtime.write(state, found)
        await stack.enter_async_context(
            control.serving(node.folder / "control", lambda: _report(apps))
        )
        await stack.enter_async_context(
            scaling(full, services, deploy=apps.deploy, link=apps.hub(full))
        )
        # Entered after all that it watches, so left before that ends: a server that is being ended
        # must not be started again.
        await stack.enter_async_context(kept(state, planned.servers, note=screen.note))
        # Last, so they are cancelled first: an end that was asked for is no loss.
        for name, watch in {
            "ray": _watch(node, screen),
            "fork-server": _watch_forks(node, screen),
            "front-door": front_door.watched(found.front_door, note=screen.note),
        }.items():
            watching = asyncio.create_task(watch, name=f"watch-{name}")
            stack.callback(watching.cancel)
        yield found


async def _watch(node: RayNode, screen: Screen) -> None:
    screen.lost(f"{await node.lost()}; what was accepted is kept")


async def _watch_forks(node: RayNode, screen: Screen) -> None:
    screen.note(f"{await node.forks_lost()}; until ECAP is started again, workers start slowly")


async def _end_applications(apps: Any, node: RayNode) -> None:
    if node.alive:  # without Ray there is nobody to ask
        await asyncio.to_thread(apps.stop)  # first: nobody asks from outside
        await apps.stop_actors()


def _plan(
    settings: Settings, state: StateDir, *, environ: Mapping[str, str], dashboard: bool
) -> tuple[Plan, RayNode]:
    planned = plan(settings, state, environ=environ)
    samples = state.run / "metrics"
    shutil.rmtree(samples, ignore_errors=True)
    samples.mkdir()
    env = {**planned.runtime.environ, "PROMETHEUS_MULTIPROC_DIR": str(samples)}
    node = RayNode(
        state,
        ports=planned.runtime.ports,
        token_file=Credentials(state).ray_token,
        environ=env,
        dashboard=dashboard,
        trusted_proxies=settings.http.trusted_proxies,
    )
    env |= node.environ()
    described = msgspec.structs.replace(planned.runtime, environ=env)
    return Plan(state, (*planned.servers, node), described, planned.leases), node


def _announce(screen: Screen) -> Callable[[Server], None]:
    def ready(server: Server) -> None:
        screen.ready(server.name, f"{server.host}:{server.port}", server.ready_s)

    return ready


async def _schema(settings: Settings, screen: Screen) -> None:
    clock = time.perf_counter()
    async with open_pool(settings.postgres, service="migrate") as pool:
        applied = await migrate(pool)
        # A shop of one's own is filled by its owner.
        added = await seed(pool) if settings.environment == "development" else 0
    detail = f"{len(applied)} migrations" if applied else "up to date"
    if added:
        detail += f", {added} products"
    screen.ready("schema", detail, time.perf_counter() - clock)


async def _say_ignored(settings: Settings, environ: Mapping[str, str], screen: Screen) -> None:
    async with open_pool(settings.postgres, service="up") as pool:
        for line in await ignored(pool, environ) or ["none was set"]:
            screen.note(f"override ignored: {line}")


async def _actors_ready(apps: Any, screen: Screen, *, ignore_overrides: bool) -> None:
    clock = time.perf_counter()
    await apps.start_actors(ignore_overrides=ignore_overrides)
    names = ", ".join(sorted(await apps.actors()))
    screen.ready("actors", names, time.perf_counter() - clock)


async def _services_ready(
    apps: Any, found: Runtime, services: tuple[ServiceName, ...], screen: Screen
) -> None:
    clock = time.perf_counter()
    await asyncio.to_thread(apps.start, found.ports["http"])
    screen.ready("serve", found.front_door, time.perf_counter() - clock)
    clock = time.perf_counter()
    await asyncio.to_thread(apps.deploy, services)
    waiting = set(services)
    while waiting:
        for app in await asyncio.to_thread(apps.states):
            if app.name in waiting and app.state == "RUNNING":
                waiting.remove(app.name)
                screen.ready(app.name, route_prefix(app.name), time.perf_counter() - clock)
        if not waiting:
            return
        if time.perf_counter() - clock > _SERVICES_READY_S:
            raise Unavailable(f"not running after {_SERVICES_READY_S:.0f} s: {sorted(waiting)}")
        screen.waiting("services: " + ", ".join(sorted(waiting)))
        await asyncio.sleep(_STATES_POLL_S)


async def _front_door_ready(found: Runtime, services: tuple[ServiceName, ...]) -> None:
    """HAProxy learns of new replicas a moment after Serve says that they run."""
    if "gateway" not in services:
        return
    deadline = time.monotonic() + _FRONT_DOOR_READY_S
    answer = "no answer"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5.0)) as client:
        while time.monotonic() < deadline:
            try:
                async with client.get(f"{found.front_door}/readyz") as response:
                    if response.status == 200:
                        return
                    answer = f"{response.status} {(await response.text())[:500]}"
            except (aiohttp.ClientError, TimeoutError) as exc:
                answer = str(exc) or type(exc).__name__
            await asyncio.sleep(_POLL_S)
    raise Unavailable(f"/readyz is not ready after {_FRONT_DOOR_READY_S:.0f} s: {answer}")


async def _stopped(state: StateDir, found: Runtime) -> None:
    runtime.write(state, msgspec.structs.replace(found, owner=None, servers=()))


async def _report(apps: Any) -> dict[str, Any]:
    """What can be had: it is asked for above all when something does not answer."""
    found: dict[str, Any] = {"services": [], "actors": {}}
    with contextlib.suppress(Unavailable):
        found["services"] = await asyncio.to_thread(apps.states)
    with contextlib.suppress(Unavailable):
        found["actors"] = await apps.actors()
    return found
