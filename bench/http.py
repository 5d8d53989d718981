"""Requests per second through ingress, edge and store, against bare uvicorn with FastAPI."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench.load import Load, closed_loop
from bench.noop import VARIANTS
from bench.system import System
from ecap.local.process.ports import choose


@contextlib.contextmanager
def _bare(kind: str, system: System) -> Iterator[str]:
    port = choose({"bare": 9911}, remembered={}, rng=None)["bare"]
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "bench.bare", kind, str(port)],
        env=system.environ,
        stdout=subprocess.DEVNULL,  # the access log; replicas write theirs to a file
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _answers(base + "/")
        yield base
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str, *, within_s: float = 30.0) -> None:
    until = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def token(system: System) -> str:
    """Of the administrator, who may do everything that is measured."""
    settings = system.settings()
    assert settings.auth.admin_password is not None
    body = {
        "email": settings.auth.admin_email,
        "password": settings.auth.admin_password.get_secret_value(),
    }
    request = urllib.request.Request(  # noqa: S310
        system.runtime.front_door + "/api/v1/auth/login",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return str(json.load(answer)["access_token"])


def product(system: System) -> str:
    url = system.runtime.front_door + "/api/v1/catalog/products?limit=1"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return str(json.load(answer)["items"][0]["id"])


def measure(system: System, *, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Each figure's best round, since what disturbs a round only ever slows it."""
    subprocess.run([sys.executable, "-m", "bench.deploy"], env=system.environ, check=True)
    door = system.runtime.front_door
    bearer = {"authorization": f"Bearer {token(system)}"}
    found = product(system)
    ours = [
        (f"no-op, full edge: {v.name}", f"{door}{v.prefix}/noop", bearer if v.identity else {})
        for v in VARIANTS
    ]
    ours.append(("product GET", f"{door}/api/v1/catalog/products/{found}", {}))
    best: dict[str, Load] = {}

    def run(name: str, url: str, headers: dict[str, str]) -> None:
        found = closed_loop(url, headers=headers, seconds=seconds)
        if name not in best or found.per_s > best[name].per_s:
            best[name] = found

    for _ in range(rounds):
        with _bare("fastapi", system) as base:
            run("bare: no-op, FastAPI", base + "/noop", {})
            run("bare: product GET, FastAPI", f"{base}/products/{found}", {})
        with _bare("starlette", system) as base:
            run("bare: no-op, Starlette", base + "/noop", {})
        with _bare("edge", system) as base:
            run("bare: no-op, our edge without Serve", base + "/bench/plain/noop", {})
        for name, url, headers in ours:
            run(name, url, headers)
    return [_row(name, load, best) for name, load in best.items()]


def _row(name: str, load: Load, best: dict[str, Load]) -> dict[str, Any]:
    baseline = "bare: product GET, FastAPI" if "product" in name else "bare: no-op, FastAPI"
    return {
        "name": name,
        "value": round(load.per_s),
        "unit": "requests/s",
        "baseline": baseline,
        "ratio": round(load.per_s / best[baseline].per_s, 3),
        "p50_ms": round(load.p50_ms, 2),
        "p99_ms": round(load.p99_ms, 2),
        "failed": load.failed,
    }
