"""The one Ray node of a local ECAP: its flags, its folder, its ports, its end.

Nothing of it listens beyond loopback, which takes a flag for Ray, a named host for
Serve's HTTP, and a hook for the gRPC servers of the replicas.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from ecap.local.process import memory
from ecap.local.process.ports import LOOPBACK
from ecap.local.process.process import Child, Started, record, spawn
from ecap.local.ray import forked_worker
from ecap.local.state.folder import StateDir
from ecap.runtime import haproxy

NAMESPACE = "ecap"
_SESSION = "session"
_MIN_CPUS = 4  # what replicas and actors ask for together, on one core too
_OBJECT_STORE_BYTES = 256 << 20
_LOOK_EVERY_S = 0.5
# Ray's library reads these when it is loaded, so all forks have them in common. Of no job
# yet, as workers that the raylet starts ahead of need; and the process whose end is
# theirs is this one, because the raylet has not started then (its end is noticed too).
# A thread of OpenBLAS would be in the way of forking.
_FORKED = {"RAY_JOB_ID": "ffffffff", "OPENBLAS_NUM_THREADS": "1"}

# Loopback ports of Ray and HAProxy, by the name they have in runtime.json.
PORTS = {
    "ray": 6379,
    "ray_node_manager": 6380,
    "ray_object_manager": 6381,
    "ray_agent": 6382,
    "ray_agent_http": 6383,
    "ray_runtime_env": 6384,
    "ray_metrics": 6385,
    "ray_dashboard": 8265,
    "haproxy_stats": 8404,
    "haproxy_metrics": 8405,
    "serve_fallback": 8406,
    "serve_fallback_grpc": 8407,
}


def _take_signals_back() -> None:
    """Connecting installs C handlers that print stacks and abort on SIGTERM."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.getsignal(signum))


def end_orphans(folder: Path) -> None:
    """What a killed node left behind: the kernel ends Ray's own processes, not HAProxy."""
    mark = f"{folder}/"
    found = []
    for process in psutil.process_iter():
        try:
            if any(mark in part for part in process.cmdline()):
                process.kill()
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone, or somebody else's
            continue
    psutil.wait_procs(found, timeout=5.0)


class RayNode:
    name = "ray"

    def __init__(
        self,
        state: StateDir,
        *,
        ports: Mapping[str, int],
        token_file: Path,
        environ: Mapping[str, str],
        dashboard: bool,
        trusted_proxies: Sequence[str],
    ) -> None:
        self.port = ports["ray"]
        self._state = state
        self._ports = ports
        self._token_file = token_file
        self._environ = environ
        self._dashboard = dashboard
        self._trusted_proxies = trusted_proxies
        self._head: Any = None
        self._node: Any = None
        self._records: list[Path] = []
        self._forks: Child | None = None

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def folder(self) -> Path:
        """Short, because Unix sockets live in it: HAProxy's may have 97 bytes, 70 are Ray's."""
        return self.folder_of(self._state)

    @property
    def _rays(self) -> Path:
        """Ray opens its own to everybody, each process of it anew."""
        return self.folder / "r"

    @staticmethod
    def folder_of(state: StateDir) -> Path:
        return Path("/tmp") / f"ecap-{state.tag}"  # noqa: S108  made here, 0700

    def environ(self) -> dict[str, str]:
        """What every Ray process has to be started with, the driver included."""
        proxy = self.folder / "h"
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self._token_file),
            "RAY_ADDRESS": self.address,
            forked_worker.SOCKET: str(self.folder / "fork.sock"),
            "ECAP__MESH__SOCKET_DIR": str(self.folder / "a"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "120",  # a busy machine is no failure
            # Ray's 15 is meant for batch work beside people; these processes are the product.
            "RAY_worker_niceness": "0",
            # Ray's word for "this machine only": nodes and workers bind loopback alone.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": "ecap.local.ray.worker.stay_on_loopback",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
            # A tenth of a core at Serve's 0.1; what it does there can wait for a moment.
            "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
            # After three times Serve's 5 s it kills a proxy whose imports take long.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
            # HAProxy is missed after three looks; Serve's 10 s leave half a minute unanswered.
            "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "0.2",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            # A datagram to a Python actor for each request; the edge has its own metrics.
            "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(proxy / "haproxy.sh"),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(proxy / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(proxy / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(proxy / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(proxy),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(proxy / "server-state"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(self._ports["haproxy_stats"]),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(self._ports["serve_fallback"]),
            "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(self._ports["serve_fallback_grpc"]),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(self._ports["haproxy_metrics"]),
        }

    async def start(self) -> Started:
        await asyncio.to_thread(self._prepare)
        os.environ.update({**self._environ, **self.environ()})
        self._forks = await self._fork_server()
        self._head = await asyncio.to_thread(_ray_head)
        self._node = await asyncio.to_thread(
            self._head.start,
            self._rays,
            session=_SESSION,
            ports=dict(self._ports),
            num_cpus=max(_MIN_CPUS, os.cpu_count() or 1),
            object_store_bytes=_OBJECT_STORE_BYTES,
            dashboard=self._dashboard,
            logs=self._state.logs / "ray",
        )
        logs = self._state.logs / "ray"
        await asyncio.to_thread(
            self._head.connect, self.address, namespace=NAMESPACE, log_path=logs / "driver.log"
        )
        _take_signals_back()
        raylet = self._head.raylet_pid(self._node)
        self._records = await asyncio.to_thread(self._record, raylet)
        return Started(raylet, logs)

    async def lost(self) -> str:
        """Waits until Ray is beyond help, and says why."""
        while (name := self._head.ended(self._node)) is None:  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(_LOOK_EVERY_S)
        return f"Ray's {name} has ended"

    async def forks_lost(self) -> str:
        """Waits until no more workers can be forked, and says why."""
        assert self._forks is not None
        return f"the fork server {await self._forks.ended()}"

    @property
    def alive(self) -> bool:
        return self._node is not None and self._head.ended(self._node) is None

    async def stop(self) -> None:
        if self._head and self._node:
            await asyncio.to_thread(self._head.disconnect)
            await asyncio.to_thread(self._head.stop, self._node)
        if self._forks:
            await self._forks.stop()
        for path in self._records:
            path.unlink(missing_ok=True)
        # When Ray's own processes were killed, HAProxy would keep the front door's port.
        await asyncio.to_thread(end_orphans, self.folder)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _fork_server(self) -> Child:
        """First, because it imports for as long as Ray starts."""
        return await spawn(
            self._state,
            "workers",
            Path(sys.executable),
            *("-m", "ecap.local.ray.forkserver", os.environ[forked_worker.SOCKET]),
            environ={**os.environ, **_FORKED, "RAY_RAYLET_PID": str(os.getpid())},
            stdin=asyncio.subprocess.PIPE,
        )

    def _record(self, raylet: int) -> list[Path]:
        """Agents outlive a raylet that was killed, and hide whose they are."""
        return [
            record(self._state, f"ray.{number}", process.pid, stop_signal=signal.SIGKILL)
            for number, process in enumerate(memory.tree(raylet))
        ]

    def _prepare(self) -> None:
        logs = self._state.logs / "ray"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir()
        end_orphans(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)  # not exist_ok: somebody else's folder is a refusal
        (self.folder / "h").mkdir()
        (self._rays / _SESSION).mkdir(parents=True)
        (self._rays / _SESSION / "logs").symlink_to(logs)
        haproxy.install(
            self.folder / "h" / "haproxy.sh", loopback=True, trusted=self._trusted_proxies
        )


def _ray_head() -> Any:
    # Late on purpose: Ray reads its environment when it is imported.
    from ecap.local.ray import head

    return head
