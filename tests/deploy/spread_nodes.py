"""A head and two workers on loopback addresses of their own, two replicas of the catalog
service on different workers, and steady requests through the HAProxy of the head.

Run by test_drain.py in a process of its own, because Ray reads its environment when it is
imported. Writes what it counted to result.json. `--without-drain` kills the node unprepared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import ray
from ray import serve
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray.serve.config import HTTPOptions, ProxyLocation

from ecap.local.process.ports import choose
from ecap.runtime.applications import bind

DRAIN = Path(__file__).parents[2] / "deploy" / "image" / "drain.py"
HEAD, WORKERS = "127.0.0.1", ("127.0.0.2", "127.0.0.3")
RESULT = "result.json"
_DEADLINE_S = 75
_READY_S = 240.0
# Without a pause: whoever is killed unprepared has requests under way.
_CLIENTS = 8
_AFTER = 150


class Cluster:
    """As the chart's: nothing is placed on the head."""

    def __init__(self, folder: Path) -> None:
        wanted = [f"{name}{n}" for n in range(3) for name in _PORTS]
        self._ports = choose(dict.fromkeys((*wanted, "gcs"), 1), remembered={}, rng=random.Random())
        self._folder = folder
        self.gcs = f"{HEAD}:{self._ports['gcs']}"
        self.nodes = {HEAD: self._node(HEAD, 0, head=True)}

    def start_workers(self) -> None:
        for number, ip in enumerate(WORKERS, 1):
            self.nodes[ip] = self._node(ip, number, head=False)

    def _node(self, ip: str, number: int, *, head: bool) -> Node:
        own = {argument: self._ports[f"{name}{number}"] for name, argument in _PORTS.items()}
        arguments: dict[str, Any] = {
            "node_ip_address": ip,
            "num_cpus": 0 if head else 2,
            "object_store_memory": 80 << 20,
            "include_log_monitor": False,
            "include_dashboard": False,
            "min_worker_port": 0,
            "max_worker_port": 0,
            **own,
        }
        if head:
            arguments |= {"gcs_server_port": self._ports["gcs"], "temp_dir": str(self._folder)}
        else:
            arguments |= {"gcs_address": self.gcs}
        params = RayParams(**arguments)
        return Node(params, head=head, shutdown_at_exit=False, spawn_reaper=True)

    def kill(self, ip: str) -> None:
        """As a machine that is taken: nothing of it gets a word out."""
        node = self.nodes.pop(ip)
        (raylet,) = node.all_processes["raylet"]
        for process in psutil.Process(raylet.process.pid).children(recursive=True):
            process.kill()
        node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

    def stop(self) -> None:
        for ip in list(self.nodes)[::-1]:
            self.kill(ip)


_PORTS = {
    "manager": "node_manager_port",
    "objects": "object_manager_port",
    "agent": "metrics_agent_port",
    "agent_http": "dashboard_agent_listen_port",
    "environment": "runtime_env_agent_port",
    "metrics": "metrics_export_port",
}


def replicas() -> dict[str, int]:
    """How many run, by the address of their node."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    ips = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes}
    details = serve_details()
    found = Counter(
        ips[replica["node_id"]]
        for deployment in details["applications"]["catalog"]["deployments"].values()
        for replica in deployment["replicas"]
        if replica["state"] == "RUNNING"
    )
    return dict(found)


def serve_details() -> Any:
    client = serve.context._get_global_client()
    assert client is not None
    return ray.get(client._controller.get_serve_instance_details.remote())


async def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _READY_S
    while not await asyncio.to_thread(true):
        if time.monotonic() > end:
            raise TimeoutError(what)
        await asyncio.sleep(0.2)


class Load:
    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: Counter[str] = Counter()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for number in range(_CLIENTS):
                group.create_task(self._ask(session), name=f"client-{number}")

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        while not self.stopping.is_set():
            try:
                async with session.get(self._url) as answer:
                    await answer.read()
                    self.answers[str(answer.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as exc:
                self.answers[type(exc).__name__] += 1

    async def more(self, count: int) -> None:
        wanted = self.answers.total() + count
        while self.answers.total() < wanted:  # noqa: ASYNC110  a count has no event
            await asyncio.sleep(0.05)


async def scenario(cluster: Cluster, *, port: int, drained: bool) -> dict[str, Any]:
    await until(lambda: sum(replicas().values()) == 2, "two replicas")
    before = await asyncio.to_thread(replicas)
    leaving = next(iter(before))
    load = Load(f"http://{HEAD}:{port}/api/v1/catalog/products")
    await until_answered(load)
    load.answers.clear()
    task = asyncio.create_task(load.run(), name="load")
    await load.more(_AFTER)
    said = ""
    if drained:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(DRAIN), "--deadline-s", str(_DEADLINE_S)),
            env={**os.environ, "RAY_ADDRESS": cluster.gcs, "POD_IP": leaving},
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
        said = output.decode()
    moved = await asyncio.to_thread(replicas)
    await asyncio.to_thread(cluster.kill, leaving)
    await load.more(_AFTER)
    await until(lambda: sum(replicas().get(ip, 0) for ip in cluster.nodes) == 2, "two again")
    await load.more(_AFTER)
    load.stopping.set()
    await task
    return {
        "before": before,
        "leaving": leaving,
        "moved": moved,
        "after": await asyncio.to_thread(replicas),
        "said": said,
        "answers": dict(load.answers),
    }


async def until_answered(load: Load) -> None:
    """HAProxy learns of replicas a moment after Serve says that they run."""
    end = time.monotonic() + _READY_S
    async with aiohttp.ClientSession() as session:
        good = 0
        while good < 20:
            try:
                async with session.get(load._url) as answer:
                    good = good + 1 if answer.status == 200 else 0
            except aiohttp.ClientError:
                good = 0
            if time.monotonic() > end:
                raise TimeoutError("no answers")
            await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--without-drain", action="store_true")
    arguments = parser.parse_args()
    cluster = Cluster(arguments.folder)
    try:
        cluster.start_workers()
        ray.init(address=cluster.gcs, log_to_driver=False, configure_logging=False)
        serve.start(
            proxy_location=ProxyLocation.HeadOnly,
            # All interfaces, as in pods: a named host would bind replicas to that one address.
            http_options=HTTPOptions(host="0.0.0.0", port=arguments.port),  # noqa: S104
        )
        serve.run_many(
            [
                serve.RunTarget(
                    target=bind("catalog"), name="catalog", route_prefix="/api/v1/catalog"
                )
            ],
            wait_for_ingress_deployment_creation=False,
            wait_for_applications_running=False,
        )
        found = asyncio.run(
            scenario(cluster, port=arguments.port, drained=not arguments.without_drain)
        )
        (arguments.folder / RESULT).write_text(json.dumps(found))
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
