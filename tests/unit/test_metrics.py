"""Metrics of several processes on one page, as each of them left them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_WORKER = """
import os, sys
from ecap import metrics
metrics.pg_pool_size.labels(sys.argv[1]).set(3)
metrics.orders_placed.labels("approved").inc()
print("done", flush=True)
sys.stdin.read()
"""
_PAGE = "from ecap import metrics; print(metrics.exposition().decode())"


def test_gauges_of_a_killed_process_are_forgotten_and_its_counts_are_not(tmp_path: Path) -> None:
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def page() -> str:
        return subprocess.run(
            [sys.executable, "-c", _PAGE], env=env, capture_output=True, text=True, check=True
        ).stdout

    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, name],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("killed", "alive")
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        assert 'ecap_postgres_pool_connections{service="killed"} 3.0' in page()
        workers[0].kill()
        workers[0].wait()
        after = page()
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert 'service="killed"' not in after
    assert 'ecap_postgres_pool_connections{service="alive"} 3.0' in after
    assert 'ecap_orders_placed_total{status="approved"} 2.0' in after
