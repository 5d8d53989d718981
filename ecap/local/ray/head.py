"""Ray's head node inside this process, without the parts a laptop does not need.

Ray reads its environment when it is imported, so this module is imported only by
`node`, after the environment is set. `ray start` would cost a process of
93 MB, a client server open to all interfaces, and a second on the way to ready;
`ray._private.node.Node` is what both it and `ray.cluster_utils.Cluster` use. The
kernel ends the node's processes when this one dies.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import ray
from ray._private import worker
from ray._private.node import Node
from ray._private.parameter import RayParams

from ecap.errors import Unavailable
from ecap.local.process.ports import LOOPBACK
from ecap.local.ray import forked_worker


class Head(Node):
    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        # Ray starts a server of 76 MB, bound to all interfaces, even for no dashboard.
        if include_dashboard:
            super().start_api_server(
                include_dashboard=include_dashboard, raise_on_failure=raise_on_failure
            )


def start(
    folder: Path,
    *,
    session: str,
    ports: dict[str, int],
    num_cpus: int,
    object_store_bytes: int,
    dashboard: bool,
    logs: Path,
) -> Head:
    """Returns when the raylet has registered."""
    arguments: dict[str, Any] = {  # Ray's annotations of some are wrong
        "node_ip_address": LOOPBACK,
        "gcs_server_port": ports["ray"],
        "node_manager_port": ports["ray_node_manager"],
        "object_manager_port": ports["ray_object_manager"],
        "metrics_agent_port": ports["ray_agent"],
        "dashboard_agent_listen_port": ports["ray_agent_http"],
        "runtime_env_agent_port": ports["ray_runtime_env"],
        "metrics_export_port": ports["ray_metrics"],
        "include_dashboard": dashboard,
        "dashboard_host": LOOPBACK,
        "dashboard_port": ports["ray_dashboard"],
        "num_cpus": num_cpus,
        "object_store_memory": object_store_bytes,
        "temp_dir": str(folder),
        "session_name": session,
        "no_monitor": True,
        "include_log_monitor": False,
        "setup_worker_path": forked_worker.__file__,
        "min_worker_port": 0,
        "max_worker_port": 0,
    }
    params = RayParams(**arguments)
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        return Head(params, head=True, shutdown_at_exit=False, spawn_reaper=True)
    except Exception as exc:  # Ray raises bare ones here
        raise Unavailable(f"Ray does not start: {exc}; its logs are in {logs}") from exc


def raylet_pid(node: Head) -> int:
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)


def ended(node: Head) -> str | None:
    """Which of the processes that Ray cannot do without has ended; None while all run."""
    for name in ("gcs_server", "raylet"):
        (found,) = node.all_processes[name]
        if found.process.poll() is not None:
            return name
    return None


def connect(address: str, *, namespace: str, log_path: Path) -> None:
    """What Ray would print about other processes goes to `log_path`."""
    output = log_path.open("a", buffering=1)

    def keep(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        output.writelines(f"{data['pid']}: {line}\n" for line in data["lines"])

    # Ray has no option for it, and each clean end would print an alarming line.
    worker.print_to_stdstream = keep
    ray.init(
        address=address,
        namespace=namespace,
        log_to_driver=False,
        configure_logging=False,
    )


def disconnect() -> None:
    ray.shutdown()


def stop(node: Any) -> None:
    node.kill_all_processes(check_alive=False, allow_graceful=True, wait=True)
