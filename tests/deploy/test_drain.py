"""A worker is taken under load: with the chart's preStop before it, no request fails.

That it can fail shows `spread_nodes.py --without-drain`: some requests get a 503.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecap.clients.migrations import migrate
from ecap.clients.postgres import open_pool
from ecap.config import Settings
from ecap.local.process.ports import choose
from ecap.local.ray.node import RayNode, end_orphans
from ecap.local.state.folder import StateDir
from ecap.local.state.runtime import Runtime
from ecap.runtime import haproxy
from ecap.serve.catalog.seed import seed

ROOT = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("spread_nodes.py")
_TIMEOUT_S = 420


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because Unix sockets live in it."""
    made = Path(tempfile.mkdtemp(prefix="ecap-d-", dir="/tmp"))
    yield made
    end_orphans(made)  # HAProxy is no child of Ray's
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def environ(servers: Runtime, settings: Settings, folder: Path) -> dict[str, str]:
    async with open_pool(settings.postgres, service="tests") as pool:
        await migrate(pool)
        await seed(pool)
    token = folder / "token"
    token.write_text("only-for-tests-" + "0" * 32)
    (folder / "h").mkdir()
    haproxy.install(folder / "h" / "haproxy.sh", loopback=True)
    wanted = ("ray", "haproxy_stats", "haproxy_metrics", "serve_fallback", "serve_fallback_grpc")
    node = RayNode(
        StateDir(folder, account=None),
        ports=choose(dict.fromkeys(wanted, 1), remembered={}, rng=random.Random()),
        token_file=token,
        environ={},
        dashboard=False,
        trusted_proxies=(),
    )
    flags = {
        name: value.replace(str(node.folder), str(folder))
        for name, value in node.environ().items()
        if name != "RAY_ADDRESS"
    }
    # As in the chart's pods.
    flags["__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"] = "ecap.lean.keep_lean"
    one = {
        "ECAP__LIMITS__ENABLED": "false",  # one client asks for all
        "ECAP__SERVICES__CATALOG__MIN_REPLICAS": "2",
        "ECAP__SERVICES__CATALOG__MAX_REPLICAS": "2",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**own, **servers.environ, **flags, **one, "RAY_raylet_start_wait_time_s": "200"}


def run(environ: dict[str, str], folder: Path) -> dict[str, Any]:
    port = choose({"http": 1}, remembered={}, rng=random.Random())["http"]
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), "--folder", str(folder), "--port", str(port)],
        env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="needs loopback addresses besides 127.0.0.1")
async def test_a_drained_worker_is_missed_by_nobody(environ: dict[str, str], folder: Path) -> None:
    found = run(environ, folder)
    assert len(found["before"]) == 2, "the replicas are not spread"
    assert found["leaving"] not in found["moved"], found["said"]
    assert found["said"].strip() == "drain: 0 replicas left"
    assert found["answers"].pop("200") > 300
    assert found["answers"] == {}
