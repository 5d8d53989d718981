"""One whole ECAP for a session of tests: `ecap up` in a folder and on ports of its own."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from ecap.config import Settings, load
from ecap.local.process import ports
from ecap.local.ray.node import RayNode
from ecap.local.servers.servers import USUAL_PORTS
from ecap.local.state import control, runtime
from ecap.local.state.folder import StateDir, open_state
from ecap.local.state.runtime import Runtime
from ecap.local.up import SERVICES

_READY_S = 300.0
_END_S = 90.0
_ECAP = (sys.executable, "-m", "ecap.cli.main")
_WORKER = re.compile(r"ray::(?P<title>[\w:-]+)")
_SUPERVISOR = "SupervisorHost"
# What Ray writes about itself; it complains of much that is well.
_RAYS_OWN = re.compile(r"gcs_|raylet|python-core|dashboard|runtime_env|event|agent|driver")
_PATIENCE = {
    # Time must not decide a test: a busy machine's shard is slower than a shopper likes.
    "ECAP__ORDERS__DECISION_TIMEOUT_S": "4",
    # What a killed worker was about to send is sent after this long.
    "ECAP__NOTIFICATIONS__CLAIM_S": "8",
    # A killed replica does not come back under its name; a change waits for it this long.
    "ECAP__HUB__STALE_AFTER_S": "5",
    "ECAP__HUB__HOLD_S": "1",
    "ECAP__HUB__CALLBACK_TIMEOUT_S": "3.5",
}


@dataclass(frozen=True)
class System:
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @cached_property
    def state(self) -> StateDir:
        return open_state(self.folder / "s")

    @property
    def runtime(self) -> Runtime:
        found = runtime.read(self.state)
        assert found is not None
        return found

    @cached_property
    def settings(self) -> Settings:
        """As a worker sees them, with the secrets from Vault."""
        return load({**self.runtime.environ, **_PATIENCE})

    @property
    def url(self) -> str:
        return self.runtime.front_door

    def ecap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_ECAP, *arguments],
            cwd=self.folder,
            env=_environ(self.state),
            capture_output=True,
            text=True,
            timeout=_END_S,
        )

    # ---- who is who

    def processes(self) -> list[psutil.Process]:
        owner = psutil.Process(self.process.pid)
        return [owner, *owner.children(recursive=True)]

    def server(self, name: str) -> int:
        found = self.runtime.server(name)
        assert found is not None, name
        return found.pid

    def replicas(self, service: str) -> set[int]:
        return {
            pid for pid, title in self._workers() if title == f"ServeReplica:{service}:{service}"
        }

    def supervisor(self) -> set[int]:
        return {pid for pid, title in self._workers() if title.startswith(_SUPERVISOR)}

    def _workers(self) -> Iterator[tuple[int, str]]:
        for process in self.processes():
            try:
                match = _WORKER.match(" ".join(process.cmdline()))
            except psutil.NoSuchProcess:
                continue
            if match:
                yield process.pid, match["title"]

    async def _report(self) -> dict[str, Any]:
        found = await control.ask(RayNode.folder_of(self.state) / "control")
        return dict(found or {"services": [], "actors": {}})

    async def services(self) -> list[dict[str, Any]]:
        return list((await self._report())["services"])

    async def actors(self) -> dict[str, Any]:
        """What the supervisor says of each; nothing while it cannot be asked."""
        return dict((await self._report())["actors"])

    async def actor(self, name: str) -> int | None:
        """The process of a running actor."""
        found = (await self.actors()).get(name, {})
        return (found.get("health") or {}).get("pid") if found.get("state") == "running" else None

    async def pids(self) -> dict[str, int | None]:
        """Of every actor and of one replica of each service: who was restarted differs."""
        found: dict[str, int | None] = {}
        for name, actor in (await self.actors()).items():
            found[f"actor {name}"] = (actor.get("health") or {}).get("pid")
        for service in SERVICES:
            found[f"service {service}"] = min(self.replicas(service), default=0)
        return found

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """0 when nobody answers."""
        async with httpx.AsyncClient(base_url=self.url, timeout=20.0) as client:
            try:
                answer = await client.get("/readyz")
            except httpx.TransportError as exc:
                return 0, {"detail": repr(exc)}
        return answer.status_code, answer.json()

    async def metrics(self) -> str:
        token = self.settings.http.metrics_token
        assert token is not None
        headers = {"authorization": f"Bearer {token.get_secret_value()}"}
        async with httpx.AsyncClient(base_url=self.url, timeout=60.0) as client:
            answer = await client.get("/metrics", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        return answer.text

    async def well(self) -> None:
        """Waits until all is."""
        last: Any = None

        async def ready() -> bool:
            nonlocal last
            last = await self.readiness()
            return bool(last[1].get("status") == "ready")

        try:
            await until(ready, within_s=180.0)
        except AssertionError:
            raise AssertionError(f"not well again: {last}") from None

    # ---- breaking things

    def kill(self, pid: int, signum: signal.Signals = signal.SIGKILL) -> None:
        assert psutil.Process(pid) in self.processes()
        os.kill(pid, signum)

    @contextmanager
    def unattended(self) -> Iterator[None]:
        """`ecap up` stands still: what ends meanwhile is not started again."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    # ---- when something failed

    def story(self, *, lines: int = 20) -> str:
        """What was printed, and the last complaints of every process."""
        parts = [self.output.read_text()]
        for path in sorted(self.state.logs.rglob("*")):
            if path.is_file() and not _RAYS_OWN.match(path.name):
                bad = [x for x in path.read_text(errors="replace").splitlines() if _complains(x)]
                if bad:
                    parts.append("\n".join([f"--- {path.name}", *(x[:400] for x in bad[-lines:])]))
        return "\n".join(parts)


def _complains(line: str) -> bool:
    return any(word in line for word in ("WARN", "ERROR", "FATAL", "PANIC", "Traceback", "Error:"))


@contextmanager
def running() -> Iterator[System]:
    """Ended at the end; its folder stays when `keep` was written into it."""
    folder = Path(tempfile.mkdtemp(prefix="ecap-e2e-", dir="/tmp"))
    folder.chmod(0o711)  # PostgreSQL's own account has to pass
    state = open_state(folder / "s")
    state.create()
    _own_ports(state)
    with (folder / "output").open("wb") as file:
        process = subprocess.Popen(
            [*_ECAP, "up"],
            cwd=folder,
            env=_environ(state),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    system = System(folder, process)
    try:
        _wait_ready(system)
        yield system
    finally:
        _end(system)
        if not (folder / "keep").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _own_ports(state: StateDir) -> None:
    """A start prefers the ports of the last one, so one is made up."""
    chosen = ports.choose(USUAL_PORTS, remembered={}, rng=random.Random())
    last = Runtime(state_dir=str(state.root), owner=None, started_at=0.0, ports=chosen)
    runtime.write(state, last)


def _environ(state: StateDir) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith(("ECAP", "RAY_"))}
    here = {"ECAP__STATE_DIR": str(state.root), "COLUMNS": "200"}
    return {**own, **_PATIENCE, **here}


def _wait_ready(system: System) -> None:
    deadline = time.monotonic() + _READY_S
    while "Ready in" not in system.output.read_text():
        ended = system.process.poll() is not None
        assert not ended, f"ecap up has ended:\n{system.story()}"
        assert time.monotonic() < deadline, f"not ready:\n{system.story()}"
        time.sleep(0.1)


def _end(system: System) -> None:
    process = system.process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            for one in system.processes():
                one.kill()
            process.wait()
    system.ecap("down")


# ---- waiting


async def until(condition: Any, *, within_s: float = 120.0, what: str = "") -> Any:
    """The first answer of `condition` that is true. A generous deadline: the machine may be
    busy, and only a fault makes anybody wait for its end."""
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what or condition}"
        await asyncio.sleep(0.05)
