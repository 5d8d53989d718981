"""A fraud decision while the customer waits: over HTTP at a fixed rate, and the bare actor call,
over its socket and through Ray."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import uvloop

from bench.http import token
from bench.load import open_loop, percentile
from bench.system import System
from ecap.domain.fraud.scoring import ScoreQuestion
from ecap.domain.values.ids import new_id

_CUSTOMERS = 200
_CALLS = 1000


def _bodies(count: int) -> list[bytes]:
    customers = [str(new_id()) for _ in range(_CUSTOMERS)]
    return [
        json.dumps(
            {
                "transaction_id": str(new_id()),
                "user_id": customers[i % _CUSTOMERS],
                "amount": "42.00",
                "card_token": "tok_benchmark",
                "device_id": "device-1",
            }
        ).encode()
        for i in range(count)
    ]


def measure(system: System, *, seconds: float, per_s: float = 100.0) -> list[dict[str, Any]]:
    """The baseline of the HTTP figure is the actor call below it, whose is the same call through
    Ray; all of one run."""
    headers = {"authorization": f"Bearer {token(system)}"}
    url = system.runtime.front_door + "/api/v1/fraud/decisions"
    uvloop.run(open_loop(url, _bodies(int(per_s * 2)), headers=headers, per_s=per_s))  # warm
    load = uvloop.run(open_loop(url, _bodies(int(per_s * seconds)), headers=headers, per_s=per_s))
    done = subprocess.run(
        [sys.executable, "-m", "bench.fraud"],
        env=system.environ,
        check=True,
        capture_output=True,
        text=True,
    )
    call, ray_call = json.loads(done.stdout.splitlines()[-1])
    through_ray = "actor call through Ray"
    return [
        {
            "name": f"decision over HTTP at {per_s:.0f}/s",
            "value": round(load.p99_ms, 2),
            "unit": "ms p99",
            "baseline": "actor call",
            "ratio": round(load.p99_ms / call["p99_ms"], 2),
            "p50_ms": round(load.p50_ms, 2),
            "p99_ms": round(load.p99_ms, 2),
            "failed": load.failed,
        },
        _row("actor call, one after another", call, baseline=through_ray, of=ray_call),
        _row(through_ray, ray_call, baseline="", of=ray_call),
    ]


def _row(
    name: str, call: dict[str, float], *, baseline: str, of: dict[str, float]
) -> dict[str, Any]:
    return {
        "name": name,
        "value": call["p50_ms"],
        "unit": "ms p50",
        "baseline": baseline,
        "ratio": round(call["p50_ms"] / of["p50_ms"], 2),
        **call,
        "failed": 0,
    }


async def _calls() -> list[dict[str, float]]:
    """Over the socket, and through Ray; by turns, so that both meet the same machine."""
    import ray  # late: it reads its environment

    from ecap.actors.reach import NAMESPACE, RayActors
    from ecap.clients.postgres import open_pool
    from ecap.config import load
    from ecap.config.settings.mesh import Mesh
    from ecap.mesh import MeshClients

    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    settings = load()
    no_sockets = settings.mesh.model_copy(update={"socket_dir": None})
    ways = (settings, settings.model_copy(update={"mesh": no_sockets}))
    times: list[list[float]] = [[] for _ in ways]
    async with open_pool(settings.postgres, service="bench") as pool:
        shards = [RayActors(way).shards(pool, clients=MeshClients(Mesh())) for way in ways]
        for number in range(_CALLS * len(ways)):
            way = number % len(ways)
            user = new_id()
            question = ScoreQuestion(
                transaction_id=new_id(),
                user_id=user,
                amount_minor=4200,
                currency="USD",
                card="tok",
                device_id="device-1",
            )
            begin = time.perf_counter()
            await shards[way].ask("fraud", str(user), question, topic="transactions", timeout_s=5)
            times[way].append((time.perf_counter() - begin) * 1000)
    return [
        {"p50_ms": round(percentile(took, 0.5), 2), "p99_ms": round(percentile(took, 0.99), 2)}
        for took in map(sorted, times)
    ]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_calls())))
