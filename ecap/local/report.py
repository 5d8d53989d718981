"""What runs from a state folder, for `ecap status`: parts, state, address, memory, age."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import psutil

from ecap.local.process import memory
from ecap.local.ray.node import RayNode
from ecap.local.state import control, runtime
from ecap.local.state.folder import StateDir
from ecap.local.state.runtime import Server

_REPLICA = re.compile(r"ray::ServeReplica:(?P<app>[\w-]+):")
_ACTORS = {"SupervisorHost": "supervisor"}
_WORKER = re.compile(r"ray::(?P<name>[\w-]+)")


class Part(msgspec.Struct, frozen=True):
    kind: str
    """server, service, actor or process"""
    name: str
    state: str
    address: str
    processes: int
    memory_bytes: int
    uptime_s: float
    pids: tuple[int, ...] = ()


class Report(msgspec.Struct, frozen=True):
    running: bool
    state_dir: str
    owner: int | None
    front_door: str | None
    ready_s: float | None
    parts: tuple[Part, ...]
    memory_bytes: int
    """Proportional (PSS), of everything."""


async def report(state: StateDir, *, now: float) -> Report:
    found = runtime.read(state) if state.run.exists() else None
    owner = state.owner() if state.run.exists() else None
    if found is None or owner is None:
        return Report(False, str(state.root), None, None, None, (), 0)
    answer = await control.ask(RayNode.folder_of(state) / "control")
    own, *below = memory.tree(owner) or [psutil.Process()]
    embedded = [server for server in found.servers if server.name != "ray"]
    trees = {server: memory.tree(server.pid) for server in embedded}
    rest = set(below).difference(*trees.values())
    parts = [
        *(_part("server", s.name, t, now=now, address=_address(s)) for s, t in trees.items()),
        *_ray(found.server("ray"), rest, answer or {}, now=now),
        _part("process", "ecap up", [own], now=now),
    ]
    total = sum(part.memory_bytes for part in parts)
    door = found.front_door if found.ready_s is not None else None
    return Report(True, str(state.root), owner, door, found.ready_s, tuple(parts), total)


def _ray(
    server: Server | None,
    below: Iterable[psutil.Process],
    answer: Mapping[str, Any],
    *,
    now: float,
) -> Iterator[Part]:
    """Ray's processes by what they say they are, and what should run but does not."""
    states = {app["name"]: app for app in answer.get("services", [])}
    actors = answer.get("actors", {})
    pids = {(a["health"] or {}).get("pid"): name for name, a in actors.items()}
    groups: dict[tuple[str, str], list[psutil.Process]] = {}
    for process in below:
        groups.setdefault(_label(process, pids), []).append(process)
    for (kind, name), processes in sorted(groups.items()):
        known = states.get(name) if kind == "service" else actors.get(name)
        yield _part(
            kind,
            name,
            processes,
            now=now,
            address=_address(server) if server and name == "ray" else "",
            state=known["state"].lower() if known else "running",
        )
    for kind, expected in (("service", states), ("actor", actors)):
        for name in sorted(expected.keys() - {name for found, name in groups if found == kind}):
            yield Part(kind, name, expected[name]["state"].lower(), "", 0, 0, 0.0)


def _label(process: psutil.Process, actors: Mapping[Any, str]) -> tuple[str, str]:
    if process.pid in actors:
        return "actor", actors[process.pid]
    try:
        title = " ".join(process.cmdline())
        program = process.name()
    except psutil.NoSuchProcess:
        return "process", "ended"
    if match := _REPLICA.match(title):
        return "service", match["app"]
    if match := _WORKER.match(title):
        if match["name"] in {"ServeController", "ProxyActor", "HAProxyManager"}:
            return "server", "serve"
        if match["name"] in {"IDLE", "DashboardAgent", "RuntimeEnvAgent"}:
            return "server", "ray"
        return "actor", _ACTORS.get(match["name"], match["name"])
    return ("server", "serve") if program == "haproxy" else ("server", "ray")


def _part(
    kind: str,
    name: str,
    processes: list[psutil.Process],
    *,
    now: float,
    address: str = "",
    state: str = "running",
) -> Part:
    alive = [process for process in processes if process.is_running()]
    return Part(
        kind,
        name,
        state if alive else "down",
        address,
        len(alive),
        sum(map(memory.pss_bytes, alive)),
        round(max((now - p.create_time() for p in alive), default=0.0), 1),
        tuple(sorted(process.pid for process in alive)),
    )


def _address(server: Server) -> str:
    return f"{server.host}:{server.port}"
