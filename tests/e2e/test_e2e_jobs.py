"""Batch jobs beside the running system: one command, its own process, Ray Data on real events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import httpx
from e2e.people import register
from e2e.system import System, until

from ecap.clients.postgres import Pool
from ecap.demo.shoppers.shelf import Shelf

_FALSIFY = """UPDATE analytics.orders_minute SET orders = orders + $1 WHERE (minute, outcome) =
              (SELECT minute, outcome FROM analytics.orders_minute ORDER BY 1, 2 LIMIT 1)
              RETURNING to_char(minute AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')"""


async def test_revenue_names_the_one_cell_that_is_wrong(
    system: System, door: httpx.AsyncClient, shelf: Shelf, books: Pool, tmp_path: Path
) -> None:
    shopper = await register(door)
    for number in range(3):
        answer = await shopper.order(
            shelf.usual(Random(number), below_minor=50_00), f"job-{number}"
        )
        assert answer.status_code == 201, answer.text
    minute = await until(lambda: books.fetchval(_FALSIFY, 1), what="a minute with orders")
    report = tmp_path / "report.json"
    try:
        done = system.ecap("job", "submit", "revenue", "--arg", f"out={report}", "--watch")
    finally:
        await books.execute(_FALSIFY, -1)
    assert done.returncode == 3, done.stdout + done.stderr
    (wrong,) = json.loads(report.read_text())["differences"]
    assert wrong["minute"] == minute
    assert wrong["stream"][0] == wrong["batch"][0] + 1
    assert f"orders_minute {minute} {wrong['outcome']}: the stream has" in done.stdout
    job = done.stdout.partition(":")[0]
    assert json.loads(system.ecap("job", "status", job, "--json").stdout)[0]["state"] == "differs"


async def test_thresholds_are_tried_on_what_happened(system: System, books: Pool) -> None:
    """And what serves loads nothing of what batch jobs need."""
    done = system.ecap("job", "submit", "fraud-rescore", "--arg", "review_score=1", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fraud.review_score: 50 -> 1" in done.stdout
    assert f"{await books.fetchval('SELECT count(*) FROM fraud.decisions')} orders" in done.stdout
    pids = {*system.replicas("orders"), *system.supervisor()}
    assert len(pids) > 1
    assert not [pid for pid in pids if "arrow" in _maps(pid)]


def _maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text() if sys.platform == "linux" else ""


def test_ctrl_c_ends_the_job(system: System) -> None:
    command = [sys.executable, "-m", "ecap.cli.main", "job", "submit", "revenue", "--watch"]
    watching = subprocess.Popen(
        command,
        env={**os.environ, "ECAP__STATE_DIR": str(system.state.root)},
        cwd=system.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert watching.stdout is not None
    job = watching.stdout.readline().partition(":")[0]
    watching.send_signal(signal.SIGINT)
    assert watching.wait(60) == 130
    assert f"{job}: stopped" in watching.stdout.read()
    watching.stdout.close()
    (row,) = json.loads(system.ecap("job", "status", job, "--json").stdout)
    assert row["state"] == "stopped"
